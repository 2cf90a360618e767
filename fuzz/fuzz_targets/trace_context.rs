//! Headers from callers: what is extracted is injected in a form that says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quorate_trace::context::{Baggage, SpanContext, TraceParent, TraceState};

fuzz_target!(|data: &[u8]| {
    if let Ok(parent) = TraceParent::parse(data) {
        assert_eq!(TraceParent::parse(parent.to_string().as_bytes()), Ok(parent));
    }
    let values = || data.split(|byte| *byte == b'\n');
    if let Ok(state) = TraceState::parse(values()) {
        assert!(state.len() <= TraceState::MEMBERS_MAX);
        let header = state.to_string();
        assert_eq!(header.len(), state.header_length());
        assert_eq!(TraceState::parse([&header]).as_ref(), Ok(&state));
        let mut shorter = state;
        shorter.truncate(0);
        assert!(shorter.header_length() <= 512);
    }
    let baggage = Baggage::parse(values());
    let header = baggage.to_string();
    assert!(header.len() <= Baggage::BYTES_MAX);
    assert_eq!(Baggage::parse([&header]), baggage);

    // The same as the headers of a request: the first line is the parent, the others are the state.
    let text = String::from_utf8_lossy(data);
    let mut lines = text.lines().map(str::to_string);
    let mut headers = Vec::new();
    headers.extend(lines.next().map(|value| ("traceparent".to_string(), value)));
    headers.extend(lines.map(|value| ("tracestate".to_string(), value)));
    if let Ok(Some(context)) = SpanContext::extract(&headers) {
        context.inject(&mut headers);
        assert_eq!(SpanContext::extract(&headers), Ok(Some(context)));
    }
});
