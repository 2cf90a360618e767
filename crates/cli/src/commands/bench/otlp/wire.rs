//! Protobuf fields, written by hand: the generator must know where in a request each identifier is.

pub(super) fn tag_and_length(number: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    put_varint(&mut bytes, length as u64);
    bytes
}

pub(super) fn length_delimited(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = tag_and_length(number, content.len());
    bytes.extend_from_slice(content);
    bytes
}

pub(super) fn varint(number: u8, value: u64) -> Vec<u8> {
    let mut bytes = vec![number << 3];
    put_varint(&mut bytes, value);
    bytes
}

pub(super) fn fixed64(number: u8, value: u64) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 1];
    bytes.extend_from_slice(&value.to_le_bytes());
    bytes
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
