//! The cases of W3C's harness, sent as bytes, so that no library tidies the headers up before they arrive.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use quorate_trace::context::{TraceParent, TraceState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

const TRACE: &str = "12345678901234567890123456789012";
const PARENT: &str = "1234567890123456";
const VALID: &str = "00-12345678901234567890123456789012-1234567890123456-00";

/// The service, and who it is asked to call.
struct Harness {
    service: SocketAddr,
    callback: SocketAddr,
    called: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Harness {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = listener.local_addr().unwrap();
        tokio::spawn(serve(listener));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let callback = listener.local_addr().unwrap();
        let called = Arc::new(Mutex::new(Vec::new()));
        let seen = called.clone();
        let record = post(
            move |headers: HeaderMap, Json(calls): Json<Vec<Call>>| async move {
                assert!(calls.is_empty());
                seen.lock().push(headers);
            },
        );
        tokio::spawn(async move { axum::serve(listener, record.into_make_service()).await });
        Harness {
            service,
            callback,
            called,
        }
    }

    /// Posts a body with these headers, and returns the answer as text.
    async fn post(&self, headers: &[(&str, &str)], body: &str) -> String {
        let mut request = format!("POST /test HTTP/1.1\r\nHost: {}\r\n", self.service);
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        let length = body.len();
        request += "Content-Type: application/json\r\nConnection: close\r\n";
        request += &format!("Content-Length: {length}\r\n\r\n{body}");
        let mut connection = TcpStream::connect(self.service).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Asks for so many calls, and returns the headers of those.
    async fn calls(&self, headers: &[(&str, &str)], count: usize) -> Vec<HeaderMap> {
        let call = format!(
            r#"{{"url": "http://{}/callback", "arguments": []}}"#,
            self.callback
        );
        let body = format!("[{}]", vec![call; count].join(","));
        let answer = self.post(headers, &body).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{headers:?}: {answer}");
        std::mem::take(&mut self.called.lock())
    }

    async fn call(&self, headers: &[(&str, &str)]) -> (TraceParent, String) {
        let called = self.calls(headers, 1).await;
        assert_eq!(called.len(), 1);
        let state: Vec<&str> = called[0]
            .get_all("tracestate")
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect();
        TraceState::parse(&state).unwrap();
        (parent(&called[0]), state.join(","))
    }
}

fn parent(headers: &HeaderMap) -> TraceParent {
    let values: Vec<_> = headers.get_all("traceparent").iter().collect();
    let [value] = values[..] else {
        panic!("one traceparent, not {values:?}");
    };
    let value = value.to_str().unwrap();
    assert_eq!(value.len(), TraceParent::LENGTH);
    value.parse().unwrap()
}

#[tokio::test]
async fn a_trace_is_continued() {
    let harness = Harness::start().await;
    let with = |flags: &str| format!("00-{TRACE}-{PARENT}-{flags}");
    let table = [
        ("traceparent", with("01")),
        ("TraceParent", with("01")),
        ("TrAcEpArEnT", with("01")),
        ("TRACEPARENT", with("01")),
        ("traceparent", format!("\t {} \t", with("01"))),
        ("traceparent", with("02")),
        ("traceparent", with("00")),
        ("traceparent", format!("cc-{TRACE}-{PARENT}-01")),
        (
            "traceparent",
            format!("cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like"),
        ),
    ];
    for (name, value) in table {
        let (called, state) = harness.call(&[(name, &value)]).await;
        assert_eq!(called.trace_id.to_string(), TRACE, "{value}");
        assert_ne!(called.span_id.to_string(), PARENT, "{value}");
        assert_eq!(state, "");
        let sent: TraceParent = value.trim().parse().unwrap();
        assert_eq!(called.flags, sent.flags, "{value}");
    }
}

#[tokio::test]
async fn a_new_trace_begins_without_a_valid_parent() {
    let harness = Harness::start().await;
    let rest = format!("-{TRACE}-{PARENT}-01");
    let other = format!("00-12345678901234567890123456789011-{PARENT}-01");
    let table: Vec<Vec<(&str, String)>> = vec![
        vec![],
        vec![("trace-parent", format!("00{rest}"))],
        vec![("trace.parent", format!("00{rest}"))],
        vec![("traceparent", other), ("traceparent", format!("00{rest}"))],
        vec![("traceparent", format!("00{rest}."))],
        vec![(
            "traceparent",
            format!("00{rest}-what-the-future-will-be-like"),
        )],
        vec![(
            "traceparent",
            format!("cc{rest}.what-the-future-will-be-like"),
        )],
        vec![("traceparent", format!("ff{rest}"))],
        vec![("traceparent", format!(".0{rest}"))],
        vec![("traceparent", format!("0.{rest}"))],
        vec![("traceparent", format!("000{rest}"))],
        vec![("traceparent", format!("0000{rest}"))],
        vec![("traceparent", format!("0{rest}"))],
        vec![("traceparent", format!("00-{}-{PARENT}-01", "0".repeat(32)))],
        vec![(
            "traceparent",
            format!("00-.2345678901234567890123456789012-{PARENT}-01"),
        )],
        vec![(
            "traceparent",
            format!("00-1234567890123456789012345678901.-{PARENT}-01"),
        )],
        vec![("traceparent", format!("00-{TRACE}3-{PARENT}-01"))],
        vec![("traceparent", format!("00-{}-{PARENT}-01", &TRACE[1..]))],
        vec![("traceparent", format!("00-{TRACE}-{}-01", "0".repeat(16)))],
        vec![("traceparent", format!("00-{TRACE}-.234567890123456-01"))],
        vec![("traceparent", format!("00-{TRACE}-123456789012345.-01"))],
        vec![("traceparent", format!("00-{TRACE}-{PARENT}7-01"))],
        vec![("traceparent", format!("00-{TRACE}-{}-01", &PARENT[1..]))],
        vec![("traceparent", format!("00-{TRACE}-{PARENT}-.0"))],
        vec![("traceparent", format!("00-{TRACE}-{PARENT}-0."))],
        vec![("traceparent", format!("00-{TRACE}-{PARENT}-001"))],
        vec![("traceparent", format!("00-{TRACE}-{PARENT}-1"))],
    ];
    for headers in table {
        let mut headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        headers.push(("tracestate", "foo=1"));
        let (called, state) = harness.call(&headers).await;
        let trace = called.trace_id.to_string();
        assert!(
            !trace.contains("234567890123456789012345678901"),
            "{headers:?}"
        );
        assert_eq!(state, "", "{headers:?}");
        assert!(called.flags.is_random() && !called.flags.is_sampled());
    }
}

#[tokio::test]
async fn what_tracing_systems_left_is_passed_on_or_dropped_whole() {
    let harness = Harness::start().await;
    let characters = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    let value: String = (' '..='~').filter(|c| !",=".contains(*c)).collect();
    let simple = format!("{characters}={value}");
    let tenant = format!("{characters}@a-z0-9_-*/={value}");
    let members = |range: std::ops::RangeInclusive<u8>| {
        let members: Vec<String> = range.map(|n| format!("bar{n:02}={n:02}")).collect();
        members.join(",")
    };
    let parts = [members(1..=10), members(11..=20), members(21..=30)];
    let [key_256, key_257] = [256, 257].map(|length| format!("{}=1", "z".repeat(length)));
    let vendor_14 = format!("{}@{}=1", "t".repeat(241), "v".repeat(14));
    let table: Vec<(Vec<(&str, &str)>, String)> = vec![
        (vec![("tracestate", "foo=1,bar=2")], "foo=1,bar=2".into()),
        (vec![("trace-state", "foo=1")], "".into()),
        (vec![("trace.state", "foo=1")], "".into()),
        (vec![("TraceState", "foo=1")], "foo=1".into()),
        (vec![("TrAcEsTaTe", "foo=1")], "foo=1".into()),
        (vec![("TRACESTATE", "foo=1")], "foo=1".into()),
        (vec![("tracestate", "")], "".into()),
        (
            vec![("tracestate", "foo=1"), ("tracestate", "")],
            "foo=1".into(),
        ),
        (
            vec![("tracestate", ""), ("tracestate", "foo=1")],
            "foo=1".into(),
        ),
        (
            vec![
                ("tracestate", "foo=1,bar=2"),
                ("tracestate", "rojo=1,congo=2"),
                ("tracestate", "baz=3"),
            ],
            "foo=1,bar=2,rojo=1,congo=2,baz=3".into(),
        ),
        (vec![("tracestate", "foo=1,foo=1")], "foo=1".into()),
        (vec![("tracestate", "foo=1,foo=2")], "foo=1".into()),
        (
            vec![("tracestate", "foo=1"), ("tracestate", "foo=2")],
            "foo=1".into(),
        ),
        (vec![("tracestate", &simple)], simple.clone()),
        (vec![("tracestate", &tenant)], tenant.clone()),
        (
            vec![("tracestate", "foo=1 \t , \t bar=2, \t baz=3")],
            "foo=1,bar=2,baz=3".into(),
        ),
        (
            vec![("tracestate", "foo=1\t \t,\t \tbar=2,\t \tbaz=3")],
            "foo=1,bar=2,baz=3".into(),
        ),
        (vec![("tracestate", "\t foo=1 \t")], "foo=1".into()),
        (vec![("tracestate", "foo =1")], "".into()),
        (vec![("tracestate", "FOO=1")], "".into()),
        (vec![("tracestate", "foo.bar=1")], "".into()),
        (vec![("tracestate", "@foo=1,bar=2")], "".into()),
        (vec![("tracestate", "foo@=1,bar=2")], "foo@=1,bar=2".into()),
        (
            vec![
                ("tracestate", &parts[0]),
                ("tracestate", &parts[1]),
                ("tracestate", &parts[2]),
                ("tracestate", "bar31=31,bar32=32"),
            ],
            members(1..=32),
        ),
        (
            vec![
                ("tracestate", &parts[0]),
                ("tracestate", &parts[1]),
                ("tracestate", &parts[2]),
                ("tracestate", "bar31=31,bar32=32,bar33=33"),
            ],
            "".into(),
        ),
        (
            vec![("tracestate", "foo=1"), ("tracestate", &key_256)],
            format!("foo=1,{key_256}"),
        ),
        (
            vec![("tracestate", "foo=1"), ("tracestate", &key_257)],
            "".into(),
        ),
        (
            vec![("tracestate", "foo=1"), ("tracestate", &vendor_14)],
            format!("foo=1,{vendor_14}"),
        ),
        (vec![("tracestate", "foo=bar=baz")], "".into()),
        (vec![("tracestate", "foo=,bar=3")], "".into()),
    ];
    for (state, expected) in table {
        let headers: Vec<_> = [("traceparent", VALID)].into_iter().chain(state).collect();
        let (called, state) = harness.call(&headers).await;
        assert_eq!(called.trace_id.to_string(), TRACE, "{headers:?}");
        assert_eq!(state, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn each_call_is_a_span_of_its_own_in_one_trace() {
    let harness = Harness::start().await;
    let zero = format!("00-{}-{PARENT}-01", "0".repeat(32));
    let baggage = ("baggage", "tenant=blue;secret");
    for headers in [
        vec![("traceparent", VALID), baggage],
        vec![baggage],
        vec![("traceparent", &zero), baggage],
    ] {
        let called = harness.calls(&headers, 3).await;
        let parents: Vec<TraceParent> = called.iter().map(parent).collect();
        let [one, two, three] = parents[..] else {
            panic!("three calls, not {parents:?}");
        };
        assert!(one.trace_id == two.trace_id && two.trace_id == three.trace_id);
        assert!(one.span_id != two.span_id && two.span_id != three.span_id);
        assert!(one.span_id != three.span_id);
        assert_eq!(
            one.trace_id.to_string() == TRACE,
            headers.len() == 2 && headers[0].1 == VALID
        );
        assert_eq!(called[0]["baggage"], "tenant=blue;secret");
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_answered() {
    let harness = Harness::start().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = closed.local_addr().unwrap();
    drop(closed);
    let unreachable = format!(r#"[{{"url": "http://{nobody}/", "arguments": []}}]"#);
    let many = format!(
        "[{}]",
        vec![r#"{"url": "", "arguments": []}"#; 101].join(",")
    );
    for (body, status) in [
        (&*unreachable, "502"),
        (r#"[{"url": "no url", "arguments": []}]"#, "502"),
        ("{}", "422"),
        ("[", "400"),
        (&many, "413"),
        ("[]", "200"),
    ] {
        let answer = harness.post(&[], body).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{body}: {answer}"
        );
    }
}
