//! OTLP in JSON from clients: either it is refused, or it is a message that says the same after a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quorate_trace::json::{otlp_from_json, otlp_to_json};
use quorate_trace::wire::{Batch, Limits};

fn scan(json: &[u8]) -> Option<Batch> {
    let message = otlp_from_json(json).ok()?;
    Some(Batch::scan(message, &Limits::default()).expect("what was encoded can be scanned"))
}

fuzz_target!(|data: &[u8]| {
    let Some(batch) = scan(data) else {
        return;
    };
    let json = otlp_to_json(&batch).expect("what was scanned can be written");
    let again = scan(json.as_bytes()).expect("what was written can be read");
    assert_eq!(again.refused().total(), 0);
    assert_eq!(again.len(), batch.len());
    let again = otlp_to_json(&again).expect("what was scanned can be written");
    assert_eq!(again, json);
});
