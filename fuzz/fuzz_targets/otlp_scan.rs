//! OTLP messages from clients: the scan reads what prost decodes, and what it accepts can be decoded by all.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/trace/tests/wire/oracle.rs"]
mod oracle;

fuzz_target!(|data: &[u8]| oracle::check(data));
