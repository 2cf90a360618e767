//! What the scan reads is what prost decodes, whatever the bytes.

mod messages;
mod oracle;

use messages::{damaged_messages, group, messages, put, varint};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn messages_are_read_as_prost_decodes_them(bytes in messages()) {
        oracle::check(&bytes);
    }

    #[test]
    fn damaged_messages_are_refused_as_prost_refuses_them(bytes in damaged_messages()) {
        oracle::check(&bytes);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        oracle::check(&bytes);
    }
}

/// A span with these fields beside its identifiers, in a message.
fn message_of(fields: &[u8]) -> Vec<u8> {
    let span = [&put(1, 2, &[1; 16])[..], &put(2, 2, &[2; 8]), fields].concat();
    put(1, 2, &put(2, 2, &put(2, 2, &span)))
}

#[test]
fn groups_end_at_the_depth_where_prost_ends() {
    for depth in 90..110 {
        for innermost in [Vec::new(), put(20, 0, &varint(1))] {
            let nested = (0..depth).fold(innermost, |inner, _| group(20, &inner));
            oracle::check(&message_of(&nested));
        }
    }
}

#[test]
fn values_end_at_the_depth_where_prost_ends() {
    for depth in 20..60 {
        // Each round is an array of one value: two messages.
        let value = (0..depth).fold(put(3, 0, &varint(7)), |inner, _| {
            put(5, 2, &put(1, 2, &inner))
        });
        let attribute = [put(1, 2, b"deep"), put(2, 2, &value)].concat();
        oracle::check(&message_of(&put(9, 2, &attribute)));
    }
}

#[test]
fn a_value_given_twice_is_not_read_in_two_ways() {
    let array = |number| put(5, 2, &put(1, 2, &put(3, 0, &varint(number))));
    let in_one = [put(1, 2, b"k"), put(2, 2, &[array(1), array(2)].concat())].concat();
    oracle::check(&message_of(&put(9, 2, &in_one)));
    let in_two = [put(1, 2, b"k"), put(2, 2, &array(1)), put(2, 2, &array(2))].concat();
    oracle::check(&message_of(&put(9, 2, &in_two)));
}

#[test]
fn numbers_end_where_prost_ends() {
    for zeros in 0..12 {
        for last in [0, 1, 2, 0x7f] {
            // More bytes than needed are fine, more than 64 bits are not.
            let number = [&vec![0x80; zeros][..], &[last]].concat();
            oracle::check(&message_of(&[varint(6 << 3), number.clone()].concat()));
            oracle::check(&message_of(&[varint(5 << 3 | 2), number.clone()].concat()));
            oracle::check(&message_of(&number));
            let of_attribute = put(2, 2, &[varint(3 << 3), number.clone()].concat());
            oracle::check(&message_of(&put(9, 2, &of_attribute)));
        }
    }
}
