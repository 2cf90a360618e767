//! Requests in order that are not taken now, and the ends of connections.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use quorate_intake::{Limits, Outcome, Refusal, Transport};
use tokio::io::AsyncReadExt;
use tokio::sync::Notify;

use crate::support::{JSON, PROTOBUF, Server, framed, message, post_to, send_post};

const RETRY_AFTER: Duration = Duration::from_millis(2_500);

async fn refusing(refusal: Refusal) -> Server {
    let server = Server::start(Limits::default()).await;
    *server.sink.refusal.lock().unwrap() = Some(refusal);
    server
}

#[tokio::test]
async fn full_queues_are_told_with_the_time_to_try_again() {
    let retry_after = RETRY_AFTER;
    let server = refusing(Refusal::Busy { retry_after }).await;
    let answer = server.grpc(&[], &framed(&message("a"))).await;
    assert_eq!(answer.code, 8);
    assert!(answer.has_retry_info());
    let details = answer.headers["grpc-status-details-bin"].as_bytes();
    let details = STANDARD_NO_PAD.decode(details).unwrap();
    let name = b"type.googleapis.com/google.rpc.RetryInfo";
    assert!(details.windows(name.len()).any(|window| window == name));
    // RetryInfo { retry_delay: Duration { seconds: 2, nanos: 500_000_000 } }
    assert!(details.ends_with(b"\x0a\x08\x08\x02\x10\x80\xca\xb5\xee\x01"));

    let answer = server.post(PROTOBUF, &message("a")).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), "3");
    assert_eq!(
        server.stats.of(Transport::Grpc).requests[Outcome::Busy as usize],
        1
    );

    *server.sink.refusal.lock().unwrap() = None;
    server.assert_serves().await;
}

#[tokio::test]
async fn a_sink_that_does_not_work_is_unavailable() {
    let retry_after = RETRY_AFTER;
    let server = refusing(Refusal::Unavailable { retry_after }).await;
    let answer = server.grpc(&[], &framed(&message("a"))).await;
    assert_eq!(answer.code, 14);
    assert!(answer.has_retry_info());
    let span = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{
        "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}]}]}]}"#;
    let answer = server.post(JSON, span).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), "3");
    assert_eq!(answer.json()["code"], 14);
}

#[tokio::test]
async fn memory_of_all_requests_is_shared_and_given_back() {
    let limits = Limits {
        buffered_bytes: 1000,
        ..Limits::default()
    };
    let server = Server::start(limits).await;
    let answer = server.post(PROTOBUF, &message(&"x".repeat(1000))).await;
    assert_eq!((answer.status, answer.header("retry-after")), (429, "1"));
    let answer = server.grpc(&[], &framed(&message(&"x".repeat(1000)))).await;
    assert_eq!((answer.code, answer.has_retry_info()), (8, true));

    let hold = Arc::new(Notify::new());
    *server.sink.hold.lock().unwrap() = Some(hold.clone());
    let first = message(&"x".repeat(600));
    let second = async {
        server.sink.waiting.notified().await;
        assert!(server.intake.buffered_bytes() > 600);
        let answer = server.post(PROTOBUF, &message(&"x".repeat(600))).await;
        assert_eq!(answer.status, 429);
        *server.sink.hold.lock().unwrap() = None;
        hold.notify_one();
    };
    let (first, ()) = tokio::join!(server.post(PROTOBUF, &first), second);
    assert_eq!(first.status, 200);
    assert_eq!(server.intake.buffered_bytes(), 0);
    server.assert_serves().await;
}

#[tokio::test]
async fn a_stopping_server_answers_what_is_under_way() {
    let mut server = Server::start(Limits::default()).await;
    let hold = Arc::new(Notify::new());
    *server.sink.hold.lock().unwrap() = Some(hold.clone());
    let address = server.address;
    let sink = server.sink.clone();
    let request = tokio::spawn(async move { post_to(address, PROTOBUF, &message("late")).await });
    sink.waiting.notified().await;
    server.stop();
    hold.notify_one();
    assert_eq!(request.await.unwrap().status, 200);
    assert_eq!(server.names(), ["late"]);
    server.ended().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_stopping_server_does_not_wait_for_ever() {
    let limits = Limits {
        drain_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let mut server = Server::start(limits).await;
    *server.sink.hold.lock().unwrap() = Some(Arc::new(Notify::new()));
    let mut stream = server.connect().await;
    send_post(&mut stream, PROTOBUF, &message("never")).await;
    server.sink.waiting.notified().await;
    server.stop();
    server.ended().await;
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty(), "nothing was acknowledged");
}

#[tokio::test]
async fn idle_connections_end_with_the_server() {
    let mut server = Server::start(Limits::default()).await;
    let silent = server.connect().await;
    let (client, connection) = h2::client::handshake(server.connect().await).await.unwrap();
    let connection = tokio::spawn(connection);
    drop(client.ready().await.unwrap());
    server.stop();
    server.ended().await;
    drop((silent, connection));
}
