//! Clients that misbehave below the messages: slow, silent, flooding.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use quorate_intake::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{EXPORT, HttpAnswer, PROTOBUF, Server, framed, message};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const END_HEADERS: u8 = 4;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const SETTINGS: u8 = 4;

fn impatient() -> Limits {
    Limits {
        header_timeout: Duration::from_millis(100),
        body_timeout: Duration::from_millis(100),
        ..Limits::default()
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Writes until the server has enough; says whether it closed the connection.
async fn flood(server: &Server, frames: impl Iterator<Item = Vec<u8>>) -> bool {
    let stream = server.connect().await;
    let (mut reader, mut writer) = stream.into_split();
    // An attacker would not read the answers, but then the attack is over when buffers are full.
    let reader = tokio::spawn(async move {
        let mut rest = Vec::new();
        let _ = reader.read_to_end(&mut rest).await;
    });
    writer.write_all(PREFACE).await.unwrap();
    writer.write_all(&frame(SETTINGS, 0, 0, b"")).await.unwrap();
    for frame in frames {
        if writer.write_all(&frame).await.is_err() {
            return true;
        }
    }
    drop(writer);
    reader.await.unwrap();
    false
}

#[tokio::test]
async fn slow_bodies() {
    let server = Server::start(impatient()).await;
    let mut stream = server.connect().await;
    let head =
        format!("POST /v1/traces HTTP/1.1\r\nHost: x\r\n{PROTOBUF}Content-Length: 100\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"only this").await.unwrap();
    let answer = HttpAnswer::read(&mut stream).await;
    assert_eq!(answer.status, 408);

    let (client, connection) = h2::client::handshake(server.connect().await).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let request =
        Request::post(format!("http://x{EXPORT}")).header("content-type", "application/grpc");
    let (response, mut body) = client
        .send_request(request.body(()).unwrap(), false)
        .unwrap();
    body.send_data(Bytes::from_static(b"\0\0\0\0"), false)
        .unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "4");
    server.assert_serves().await;
    assert_eq!(server.intake.buffered_bytes(), 0);
}

#[tokio::test]
async fn slow_headers_and_silence() {
    let server = Server::start(impatient()).await;
    for start in [
        &b""[..],
        b"P",
        b"PRI * HTTP/2.0\r\n",
        b"POST /v1/traces HTTP/1.1\r\nHost:",
    ] {
        let mut stream = server.connect().await;
        stream.write_all(start).await.unwrap();
        let mut rest = Vec::new();
        // The connection ends; with a word about it or without.
        let _ = stream.read_to_end(&mut rest).await;
    }
    server.assert_serves().await;
}

#[tokio::test]
async fn a_preface_that_comes_byte_by_byte() {
    let server = Server::start(Limits::default()).await;
    let mut stream = server.connect().await;
    stream.set_nodelay(true).unwrap();
    for byte in PREFACE {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    stream.write_all(&frame(SETTINGS, 0, 0, b"")).await.unwrap();
    let mut header = [0; 9];
    stream.read_exact(&mut header).await.unwrap();
    assert_eq!(header[3], SETTINGS);
}

#[tokio::test]
async fn slow_readers() {
    let server = Server::start(Limits::default()).await;
    // Forty clients with a window of nothing, so that no answer's body can be sent to them.
    let mut clients = Vec::new();
    for _ in 0..40 {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(0);
        let handshake = builder.handshake::<_, Bytes>(server.connect().await);
        let (client, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        let mut client = client.ready().await.unwrap();
        let request = Request::post(format!("http://x{EXPORT}"));
        let request = request
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        let (response, mut body) = client.send_request(request, false).unwrap();
        body.send_data(framed(&message("unread")).into(), true)
            .unwrap();
        clients.push((response.await.unwrap(), client));
    }
    assert_eq!(server.names().len(), 40);
    server.assert_serves().await;
    assert_eq!(
        server.intake.buffered_bytes(),
        0,
        "only the answers are kept"
    );
}

#[tokio::test]
async fn rapid_reset() {
    let server = Server::start(Limits::default()).await;
    // CVE-2023-44487: requests that are taken back at once, many in one packet. The header block is
    // POST, http and the path "/" from HPACK's static table.
    let request_and_reset = |number: u32| {
        let stream = 2 * number + 1;
        let begun = frame(HEADERS, END_HEADERS, stream, b"\x83\x86\x84");
        [begun, frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    };
    let packets = (0..1000).map(|packet| {
        let numbers = packet * 100..(packet + 1) * 100;
        numbers.flat_map(request_and_reset).collect()
    });
    assert!(flood(&server, packets).await, "the connection is closed");
    server.assert_serves().await;
}

#[tokio::test]
async fn continuation_flood() {
    let server = Server::start(Limits::default()).await;
    // A header block that never ends, of literal fields that are never indexed.
    let field = [&b"\x10\x01a\x7f\x81\x07"[..], &[b'x'; 256]].concat();
    let begin = std::iter::once(frame(HEADERS, 0, 1, &field));
    let more = std::iter::repeat_n(frame(CONTINUATION, 0, 1, &field), 1_000_000);
    assert!(flood(&server, begin.chain(more)).await);
    server.assert_serves().await;
}

#[tokio::test]
async fn ping_and_settings_flood() {
    let server = Server::start(Limits::default()).await;
    for kind in [PING, SETTINGS] {
        let payload: &[u8] = if kind == PING { &[0; 8] } else { &[] };
        let many = (0..1000)
            .flat_map(|_| frame(kind, 0, 0, payload))
            .collect::<Vec<_>>();
        flood(&server, std::iter::repeat_n(many, 20)).await;
        server.assert_serves().await;
    }
}

#[tokio::test]
async fn too_many_headers() {
    let server = Server::start(Limits::default()).await;
    let headers = format!("{PROTOBUF}X-Long: {}\r\n", "x".repeat(40_000));
    let answer = server.post(&headers, &message("a")).await;
    assert_eq!(answer.status, 431);
    server.assert_serves().await;
}

#[tokio::test]
async fn noise_on_the_port() {
    let server = Server::start(Limits::default()).await;
    for noise in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0\0\0",
        b"SSH-2.0-x\r\n\r\n",
    ] {
        server.send_and_close(noise).await;
    }
    let garbage = [PREFACE, &[0xff; 100]].concat();
    server.send_and_close(&garbage).await;
    server.assert_serves().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let mut held: Vec<TcpStream> = Vec::new();
    for _ in 0..2 {
        let mut stream = server.connect().await;
        // The server has it when it answers.
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        stream.read_u8().await.unwrap();
        held.push(stream);
    }
    assert_eq!(server.stats.open_connections(), 2);
    let waited = message("waited");
    let waiting = server.post(PROTOBUF, &waited);
    let release = async {
        assert!(server.names().is_empty());
        held.pop();
    };
    let (answer, ()) = tokio::join!(waiting, release);
    assert_eq!(answer.status, 200);
    assert_eq!(server.stats.connections(), 3);
}
