//! Requests in order, in every form that OTLP has.

use std::io::Write;

use crate::support::{
    EXPORT, JSON, PROTOBUF, Server, flagged, framed, message, message_of, rejected, span,
};
use quorate_intake::{Cors, Limits, Outcome, Transport};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

#[tokio::test]
async fn one_port_speaks_grpc_and_http() {
    let server = Server::start(Limits::default()).await;
    server.assert_serves().await;
    let counted = server.stats.of(Transport::Grpc);
    assert_eq!(counted.requests[Outcome::Accepted as usize], 1);
    assert_eq!((counted.spans, counted.refused_spans), (1, 0));
    let counted = server.stats.of(Transport::HttpProtobuf);
    assert_eq!(counted.requests, [1, 0, 0, 0]);
    assert_eq!(counted.message_bytes, message("by http").len() as u64);
}

#[tokio::test]
async fn success_is_an_empty_message_in_the_format_of_the_request() {
    let server = Server::start(Limits::default()).await;
    let answer = server.post(PROTOBUF, &message("a")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/x-protobuf");
    assert!(answer.body.is_empty());
    let answer = server.post(JSON, br#"{"resourceSpans":[]}"#).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.body, b"{}");
    let answer = server.grpc(&[], &framed(&message("a"))).await;
    assert_eq!(answer.code, 0);
    assert_eq!(answer.data[..], [0; 5]);
}

#[tokio::test]
async fn json_is_taken() {
    let server = Server::start(Limits::default()).await;
    let text = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{
        "traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174","name":"in JSON",
        "kind":2,"startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1544712661000000000}]}]}]}"#;
    let answer = server
        .post("Content-Type: application/json; charset=utf-8\r\n", text)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(server.names(), ["in JSON"]);
    let answer = server
        .post(&format!("{JSON}Content-Encoding: gzip\r\n"), &gzip(text))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(server.names(), ["in JSON"]);
}

#[tokio::test]
async fn compressed_messages_are_taken() {
    let server = Server::start(Limits::default()).await;
    // Longer than one chunk of decompression.
    let spans = (0..10_000).map(|number| span(&format!("span {number} of many, many")));
    let bytes = message_of(spans.collect());
    assert!(bytes.len() > 600_000);
    for (name, compressed) in [("gzip", gzip(&bytes)), ("zstd", zstd(&bytes))] {
        let answer = server
            .grpc(&[("grpc-encoding", name)], &flagged(1, &compressed))
            .await;
        assert_eq!(answer.code, 0, "{answer:?}");
        assert_eq!(server.names().len(), 10_000);
        let headers = format!("{PROTOBUF}Content-Encoding: {name}\r\n");
        let answer = server.post(&headers, &compressed).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(server.names().len(), 10_000);
    }
    // A client that compresses may send single messages as they are.
    let answer = server
        .grpc(&[("grpc-encoding", "gzip")], &framed(&message("small")))
        .await;
    assert_eq!(answer.code, 0);
    let counted = server.stats.of(Transport::HttpProtobuf);
    assert!(counted.received_bytes < counted.message_bytes);
    assert_eq!(server.intake.buffered_bytes(), 0);
}

#[tokio::test]
async fn an_empty_request_is_a_success() {
    let server = Server::start(Limits::default()).await;
    assert_eq!(server.grpc(&[], &framed(b"")).await.code, 0);
    assert_eq!(server.post(PROTOBUF, b"").await.status, 200);
    assert_eq!(server.post(JSON, b"{}").await.status, 200);
    assert!(server.names().is_empty());
}

#[tokio::test]
async fn single_spans_are_refused_in_a_partial_success() {
    let server = Server::start(Limits::default()).await;
    let mut bad = span("bad");
    bad.span_id.clear();
    let bytes = message_of(vec![span("good"), bad.clone()]);
    let answer = server.grpc(&[], &framed(&bytes)).await;
    assert_eq!((answer.code, answer.rejected()), (0, 1));
    let answer = server.post(PROTOBUF, &bytes).await;
    assert_eq!((answer.status, rejected(&answer.body)), (200, 1));
    assert_eq!(server.names(), ["good", "good"]);

    // Still a success when none is left.
    let text = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"without ids"}]}]}]}"#;
    let answer = server.post(JSON, text).await;
    assert_eq!(answer.status, 200);
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(partial["rejectedSpans"], "1");
    assert_eq!(
        partial["errorMessage"],
        "spans refused: 1 with an invalid trace, span or parent id"
    );
    assert!(server.names().is_empty());
}

#[tokio::test]
async fn web_pages_may_send_when_they_are_allowed_to() {
    let cors = Cors::new(["https://shop.example"]).unwrap();
    let server = Server::start_with(Limits::default(), Some(cors)).await;
    let preflight = |origin: &str| {
        format!(
            "Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\n\
             Access-Control-Request-Headers: content-type,x-key\r\n"
        )
    };
    let ask = preflight("https://shop.example");
    let answer = server.http("OPTIONS /v1/traces", &ask, b"").await;
    assert_eq!(answer.status, 204);
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!(allowed, "https://shop.example");
    let headers = answer.header("access-control-allow-headers");
    assert_eq!(headers, "content-type,x-key");
    assert_eq!(answer.header("access-control-allow-methods"), "POST");

    let ask = preflight("https://evil.example");
    let answer = server.http("OPTIONS /v1/traces", &ask, b"").await;
    assert_eq!(answer.header("access-control-allow-origin"), "");

    let headers = format!("{PROTOBUF}Origin: https://shop.example\r\n");
    let answer = server.post(&headers, &message("from a page")).await;
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!((answer.status, allowed), (200, "https://shop.example"));
}

#[tokio::test]
async fn web_pages_may_not_send_by_default() {
    let server = Server::start(Limits::default()).await;
    let ask = "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n";
    let answer = server.http("OPTIONS /v1/traces", ask, b"").await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn grpc_is_known_by_its_content_type() {
    let server = Server::start(Limits::default()).await;
    let body = framed(&message("a"));
    for content_type in ["application/grpc+proto", "application/grpc; charset=utf-8"] {
        let answer = server
            .call(EXPORT, &[("content-type", content_type)], &body)
            .await;
        assert_eq!(answer.code, 0, "{content_type}");
    }
}
