//! Which member is asked next.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use tonic::Request;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic_prost::ProstCodec;

const SOON: Duration = Duration::from_millis(50);

/// Members of a service without methods.
fn members(endpoints: &[&str]) -> Members<Grpc<Channel>> {
    Members::new(endpoints.iter().copied(), Grpc::new).unwrap()
}

fn not_leading(leader: &'static str) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert(LEADER, leader.parse().unwrap());
    Status::with_metadata(Code::Unavailable, "does not lead", metadata)
}

/// Calls with scripted answers; returns the result and who was to be asked next at every attempt.
async fn call(
    members: &Members<Grpc<Channel>>,
    deadline: Duration,
    answers: Vec<Result<u8, Status>>,
) -> (Result<u8, Failed>, Vec<String>) {
    let made = AtomicUsize::new(0);
    let asked = Mutex::new(Vec::new());
    let result = members
        .call(Instant::now() + deadline, deadline, |_| {
            asked.lock().push(members.next().0);
            let number = made.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
            let answer = answers[number].clone();
            async move { answer.map(Response::new) }
        })
        .await;
    (result, asked.into_inner())
}

#[tokio::test(start_paused = true)]
async fn the_leader_that_is_named_is_asked_next_and_remembered() {
    let members = members(&["a:1", "b:1", "c:1"]);
    let answers = vec![Err(not_leading("c:1")), Ok(7)];
    let (result, asked) = call(&members, SOON, answers).await;
    assert_eq!(
        (result.unwrap(), asked),
        (7, vec!["a:1".into(), "c:1".into()])
    );
    let (_, asked) = call(&members, SOON, vec![Ok(7)]).await;
    assert_eq!(asked, ["c:1"]);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_not_among_the_endpoints_is_added() {
    let members = members(&["a:1"]);
    let (_, asked) = call(&members, SOON, vec![Err(not_leading("z:1")), Ok(7)]).await;
    assert_eq!(asked, ["a:1", "z:1"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_hint_the_members_are_asked_in_turn() {
    let members = members(&["a:1", "b:1"]);
    let answers = vec![
        Err(not_leading("")),
        Err(Status::aborted("lost")),
        Err(Status::resource_exhausted("busy")),
        Ok(7),
    ];
    let (result, asked) = call(&members, Duration::from_secs(9), answers).await;
    assert_eq!(result.unwrap(), 7);
    assert_eq!(asked, ["a:1", "b:1", "a:1", "b:1"]);
}

#[tokio::test(start_paused = true)]
async fn after_the_deadline_it_is_told_what_everybody_said() {
    let members = members(&["a:1", "b:1"]);
    let (result, _) = call(&members, SOON, vec![Err(not_leading(""))]).await;
    let failed = result.unwrap_err();
    assert!(!failed.unknown);
    let ClientError::Unavailable { mut tried } = failed.of_write() else {
        panic!("nothing happened, and that is what is to be said");
    };
    tried.sort_by(|a, b| a.endpoint.cmp(&b.endpoint));
    let told: Vec<_> = tried.iter().map(Tried::to_string).collect();
    assert_eq!(told, ["a:1: does not lead", "b:1: does not lead"]);
}

#[tokio::test(start_paused = true)]
async fn one_attempt_that_may_have_had_an_effect_makes_the_fate_unknown() {
    let members = members(&["a:1"]);
    for lost in [Status::aborted("lost"), Status::unavailable("broken pipe")] {
        let answers = vec![Err(lost), Err(not_leading(""))];
        let (result, _) = call(&members, SOON, answers).await;
        assert!(matches!(
            result.unwrap_err().of_write(),
            ClientError::Unknown { .. }
        ));
    }
    let answers = vec![
        Err(Status::aborted("lost")),
        Err(Status::not_found("expired")),
    ];
    let failed = call(&members, SOON, answers).await.0.unwrap_err();
    assert_eq!((failed.code, failed.unknown), (Some(Code::NotFound), true));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_nobody_would_take_is_not_sent_again() {
    let members = members(&["a:1", "b:1"]);
    let answers = vec![Err(Status::invalid_argument("too long"))];
    let (result, asked) = call(&members, SOON, answers).await;
    assert_eq!(asked.len(), 1);
    let error = ClientError::from(result.unwrap_err());
    assert_eq!(error, ClientError::Invalid("too long".into()));
}

#[tokio::test]
async fn what_could_not_even_connect_had_no_effect() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let members = members(&[&address]);
    let deadline = Instant::now() + SOON;
    let result = members.call(deadline, SOON, |mut stub| async move {
        let path = PathAndQuery::from_static("/Nobody/Nothing");
        stub.ready().await.expect("a channel that connects late");
        stub.unary(Request::new(()), path, ProstCodec::<(), ()>::default())
            .await
    });
    let failed = result.await.unwrap_err();
    assert!(!failed.unknown);
    assert!(failed.tried[0].answer.contains("refused"), "{failed:?}");
}

#[tokio::test]
async fn addresses_are_checked() {
    for (endpoint, reason) in [
        ("", "empty string"),
        ("host", "the port is missing"),
        ("host:1/path", "an address has no path"),
        ("https://host:1", ""),
    ] {
        let refused = Members::new([endpoint], Grpc::new).err();
        let Some(ClientError::Endpoint { reason: given, .. }) = refused else {
            panic!("{endpoint:?} was accepted: {refused:?}");
        };
        assert!(given.contains(reason), "{endpoint:?}: {given}");
    }
    assert!(Members::new([""; 0], Grpc::new).is_err());
}
