//! Bytes from a peer: either they are refused, or they are a message whose encoding decodes to itself.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use quorate_kv::Command;
use quorate_raft::Message;
use quorate_transport::Wire;

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = Message::<Command>::decode(Bytes::copy_from_slice(data)) {
        let mut encoded = BytesMut::new();
        message.encode(&mut encoded);
        assert_eq!(Message::<Command>::decode(encoded.freeze()).as_ref(), Ok(&message));
    }
});
