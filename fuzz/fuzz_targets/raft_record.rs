//! Bytes from a disk: either they are refused, or they are a record whose encoding decodes to itself.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use quorate_kv::Command;
use quorate_raft::Record;
use quorate_transport::Wire;

fuzz_target!(|data: &[u8]| {
    if let Ok(record) = Record::<Command>::decode(Bytes::copy_from_slice(data)) {
        let mut encoded = BytesMut::new();
        record.encode(&mut encoded);
        assert_eq!(Record::<Command>::decode(encoded.freeze()).as_ref(), Ok(&record));
    }
});
