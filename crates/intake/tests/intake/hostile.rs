//! Messages that are meant to do harm, or come from broken clients: each gets its status, and others are served.

use std::io::Write;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue};
use quorate_intake::Limits;
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

use crate::support::{
    EXPORT, JSON, PROTOBUF, Server, attribute, flagged, framed, message, message_of, rejected, span,
};

fn small() -> Limits {
    Limits {
        message_bytes: 10_000,
        decompressed_bytes: 100_000,
        ..Limits::default()
    }
}

#[tokio::test]
async fn fuzzed_protobuf() {
    let server = Server::start(Limits::default()).await;
    let mut random = SmallRng::seed_from_u64(51);
    let good = message("good");
    for round in 0..200 {
        let bytes = if round % 2 == 0 {
            let mut bytes = vec![0; random.random_range(1..200)];
            random.fill_bytes(&mut bytes);
            bytes
        } else {
            let mut bytes = good.clone();
            let at = random.random_range(0..bytes.len());
            bytes[at] ^= 1 << random.random_range(0..8);
            bytes
        };
        let answer = server.grpc(&[], &framed(&bytes)).await;
        assert!(matches!(answer.code, 0 | 3), "{answer:?}");
        let answer = server.post(PROTOBUF, &bytes).await;
        assert!(matches!(answer.status, 200 | 400), "{answer:?}");
    }
    let answer = server.post(PROTOBUF, b"\xff\xff").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("content-type"), "application/x-protobuf");
    let answer = server.post(JSON, b"{\"resourceSpans\":[{]").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["code"], 3);
    server.assert_serves().await;
}

#[tokio::test]
async fn oversize_messages() {
    let server = Server::start(small()).await;
    let large = message(&"x".repeat(10_001));
    let answer = server.grpc(&[], &framed(&large)).await;
    // Without RetryInfo it is final: the same message will be too large the next time, too.
    assert_eq!((answer.code, answer.has_retry_info()), (8, false));
    let answer = server.post(PROTOBUF, &large).await;
    assert_eq!((answer.status, answer.header("retry-after")), (413, ""));
    // Without a length that announces it.
    let chunked = format!(
        "POST /v1/traces HTTP/1.1\r\nHost: x\r\n{PROTOBUF}Transfer-Encoding: chunked\r\n\r\n"
    );
    let mut body = chunked.into_bytes();
    body.extend_from_slice(format!("{:x}\r\n", large.len()).as_bytes());
    body.extend_from_slice(&large);
    let answer = server.raw(&body).await;
    assert_eq!(answer.status, 413);
    server.assert_serves().await;
}

#[tokio::test]
async fn lying_lengths() {
    let server = Server::start(Limits::default()).await;
    let good = message("a");
    // gRPC's own length: too long, too short, and as long as can be.
    for length in [good.len() as u32 + 1, good.len() as u32 - 1, u32::MAX] {
        let mut body = framed(&good);
        body[1..5].copy_from_slice(&length.to_be_bytes());
        let answer = server.grpc(&[], &body).await;
        assert_eq!(answer.code, 3, "{answer:?}");
    }
    assert_eq!(server.grpc(&[], b"").await.code, 3);
    assert_eq!(server.grpc(&[], b"\0\0").await.code, 3);
    let twice = [framed(&good), framed(&good)].concat();
    assert_eq!(server.grpc(&[], &twice).await.code, 3);
    // A field that is longer than the message, up to more than memory.
    for length in [
        &b"\x7f"[..],
        b"\xff\xff\xff\xff\x0f",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ] {
        let bytes = [b"\x0a", length, b"ab"].concat();
        assert_eq!(server.post(PROTOBUF, &bytes).await.status, 400);
    }
    // A content length that the client does not keep.
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nHost: x\r\n{PROTOBUF}Content-Length: 1000000\r\n\r\nab"
    );
    server.send_and_close(head.as_bytes()).await;
    server.assert_serves().await;
    assert_eq!(server.intake.buffered_bytes(), 0);
}

#[tokio::test]
async fn gzip_bomb() {
    let server = Server::start(small()).await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; 8_000_000]).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 10_000);
    let answer = server
        .post(&format!("{PROTOBUF}Content-Encoding: gzip\r\n"), &bomb)
        .await;
    assert_eq!(answer.status, 413);
    let answer = server
        .grpc(&[("grpc-encoding", "gzip")], &flagged(1, &bomb))
        .await;
    assert_eq!((answer.code, answer.has_retry_info()), (8, false));
    server.assert_serves().await;
    assert_eq!(server.intake.buffered_bytes(), 0);
}

#[tokio::test]
async fn zstd_bomb() {
    let server = Server::start(small()).await;
    let bomb = zstd::stream::encode_all(&vec![0; 50_000_000][..], 1).unwrap();
    assert!(bomb.len() < 10_000);
    let headers = format!("{PROTOBUF}Content-Encoding: zstd\r\n");
    assert_eq!(server.post(&headers, &bomb).await.status, 413);
    let answer = server
        .grpc(&[("grpc-encoding", "zstd")], &flagged(1, &bomb))
        .await;
    assert_eq!((answer.code, answer.has_retry_info()), (8, false));
    // A frame that asks for a window of 2 GiB: descriptor 0, exponent 21 (2^31), and an empty last block.
    let window = b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00";
    assert_eq!(server.post(&headers, window).await.status, 400);
    server.assert_serves().await;
}

#[tokio::test]
async fn what_does_not_decompress() {
    let server = Server::start(small()).await;
    let compressed = zstd::stream::encode_all(&message("a")[..], 1).unwrap();
    let cut = &compressed[..compressed.len() - 3];
    for (encoding, bytes) in [
        ("gzip", &b"nothing of the kind"[..]),
        ("zstd", b"nor this"),
        ("zstd", cut),
    ] {
        let headers = format!("{PROTOBUF}Content-Encoding: {encoding}\r\n");
        assert_eq!(server.post(&headers, bytes).await.status, 400);
        let answer = server
            .grpc(&[("grpc-encoding", encoding)], &flagged(1, bytes))
            .await;
        assert_eq!(answer.code, 3, "{answer:?}");
    }
    // Compressed, but not said how; and a flag that does not exist.
    assert_eq!(server.grpc(&[], &flagged(1, &compressed)).await.code, 3);
    assert_eq!(server.grpc(&[], &flagged(2, &message("a"))).await.code, 3);
    server.assert_serves().await;
}

#[tokio::test]
async fn deeply_nested_values() {
    let server = Server::start(Limits::default()).await;
    let nested = |depth: u32| {
        let value = (0..depth).fold(Value::IntValue(1), |inner, _| {
            let values = vec![AnyValue { value: Some(inner) }];
            Value::ArrayValue(ArrayValue { values })
        });
        let mut deep = span("deep");
        deep.attributes = vec![attribute("k", value)];
        message_of(vec![deep, span("flat")])
    };
    let answer = server.grpc(&[], &framed(&nested(20))).await;
    assert_eq!((answer.code, answer.rejected()), (0, 0));
    // Beyond the limit, beyond what decoders follow, and beyond what a stack would hold.
    for depth in [40, 200] {
        server.names();
        let answer = server.grpc(&[], &framed(&nested(depth))).await;
        assert_eq!((answer.code, answer.rejected()), (0, 1), "{depth}");
        assert_eq!(server.names(), ["flat"]);
    }
    let mut bytes = Vec::new();
    for _ in 0..100_000 {
        let mut length = Vec::new();
        prost::encoding::encode_varint(bytes.len() as u64, &mut length);
        bytes.splice(0..0, [&[0x0a], &length[..]].concat());
    }
    let answer = server.post(PROTOBUF, &bytes).await;
    assert!(matches!(answer.status, 200 | 400));
    let brackets = [&b"{\"resourceSpans\":"[..], &[b'['; 100_000]].concat();
    assert_eq!(server.post(JSON, &brackets).await.status, 400);
    server.assert_serves().await;
}

#[tokio::test]
async fn bad_ids() {
    let server = Server::start(Limits::default()).await;
    let mut spans = vec![
        span("no trace"),
        span("zeros"),
        span("short"),
        span("long parent"),
    ];
    spans[0].trace_id.clear();
    spans[1].span_id = vec![0; 8];
    spans[2].trace_id = vec![1; 15];
    spans[3].parent_span_id = vec![1; 9];
    spans.push(span("zero parent is none"));
    spans[4].parent_span_id = vec![0; 8];
    let answer = server.post(PROTOBUF, &message_of(spans)).await;
    assert_eq!((answer.status, rejected(&answer.body)), (200, 4));
    assert_eq!(server.names(), ["zero parent is none"]);
}

#[tokio::test]
async fn an_end_before_the_start_is_for_the_analysis_to_tell() {
    let server = Server::start(Limits::default()).await;
    let mut backwards = span("backwards");
    (backwards.start_time_unix_nano, backwards.end_time_unix_nano) = (2, 1);
    let answer = server
        .grpc(&[], &framed(&message_of(vec![backwards])))
        .await;
    assert_eq!((answer.code, answer.rejected()), (0, 0));
    assert_eq!(server.names(), ["backwards"]);
}

#[tokio::test]
async fn wrong_content_type_method_path_and_encoding() {
    let server = Server::start(Limits::default()).await;
    let body = message("a");
    for content_type in [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/grpc-web\r\n",
        "Content-Type: \u{1}\r\n",
    ] {
        assert!(matches!(
            server.post(content_type, &body).await.status,
            415 | 400
        ));
    }
    let answer = server
        .post("Content-Type: application/xml\r\n", &body)
        .await;
    assert_eq!(answer.status, 415);
    assert_eq!(answer.header("content-type"), "application/json");
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "BREW"] {
        let answer = server
            .http(&format!("{method} /v1/traces"), PROTOBUF, b"")
            .await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, "POST"),
            "{method}"
        );
    }
    for path in [
        "/",
        "/v1/metrics",
        "/v1/logs",
        "/v1/tracesx",
        "/../v1/traces",
        "/v2/traces",
    ] {
        assert_eq!(
            server
                .http(&format!("POST {path}"), PROTOBUF, &body)
                .await
                .status,
            404,
            "{path}"
        );
    }
    let answer = server
        .post(&format!("{PROTOBUF}Content-Encoding: br\r\n"), &body)
        .await;
    assert_eq!(answer.status, 415);
    assert_eq!(answer.header("accept-encoding"), "gzip, zstd, identity");

    let answer = server
        .grpc(&[("grpc-encoding", "snappy")], &flagged(1, &body))
        .await;
    assert_eq!(answer.code, 12);
    assert_eq!(
        answer.headers["grpc-accept-encoding"],
        "gzip, zstd, identity"
    );
    let metrics = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    let logs = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    for path in [metrics, logs, "/", "/grpc.health.v1.Health/Check"] {
        let answer = server.call(path, &[], &framed(b"")).await;
        assert_eq!(answer.code, 12, "{path}: {answer:?}");
        assert!(!answer.message.is_empty());
    }
    let answer = server
        .http(
            &format!("POST {EXPORT}"),
            "Content-Type: application/grpc\r\n",
            b"",
        )
        .await;
    assert_eq!(answer.header("grpc-status"), "3", "gRPC over HTTP/1.1");
    server.assert_serves().await;
}

#[tokio::test]
async fn attribute_cardinality() {
    let server = Server::start(Limits::default()).await;
    let with = |count: usize| {
        let mut span = span("attributes");
        let attributes = (0..count).map(|n| attribute(&format!("k{n}"), Value::BoolValue(true)));
        span.attributes = attributes.collect();
        span
    };
    let bytes = message_of(vec![with(4096), with(4097)]);
    let answer = server.post(PROTOBUF, &bytes).await;
    assert_eq!((answer.status, rejected(&answer.body)), (200, 1));
    assert_eq!(server.names().len(), 1);
}

#[tokio::test]
async fn invalid_utf8_and_numbers_that_are_none() {
    let server = Server::start(Limits::default()).await;
    let mut bytes = message_of(vec![span("name"), span("good")]);
    let at = bytes
        .windows(4)
        .position(|window| window == b"name")
        .unwrap();
    bytes[at] = 0xff;
    let answer = server.post(PROTOBUF, &bytes).await;
    assert_eq!((answer.status, rejected(&answer.body)), (200, 1));
    assert_eq!(server.names(), ["good"]);

    let mut strange = span("NaN");
    let numbers = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0];
    strange.attributes = numbers
        .map(|number| attribute("k", Value::DoubleValue(number)))
        .to_vec();
    let answer = server.post(PROTOBUF, &message_of(vec![strange])).await;
    assert_eq!((answer.status, rejected(&answer.body)), (200, 0));
    assert_eq!(server.names(), ["NaN"]);

    let text = [
        &br#"{"resourceSpans":[{"schemaUrl":""#[..],
        b"\xff\xfe",
        br#""}]}"#,
    ]
    .concat();
    assert_eq!(server.post(JSON, &text).await.status, 400);
    server.assert_serves().await;
}

#[tokio::test]
async fn trailing_garbage_is_an_error_for_the_whole_message() {
    let server = Server::start(Limits::default()).await;
    let bytes = [message("a"), vec![0x0a]].concat();
    assert_eq!(server.grpc(&[], &framed(&bytes)).await.code, 3);
    assert!(server.names().is_empty(), "nothing of it is taken");
}
