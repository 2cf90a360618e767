//! What a client makes of answers.

use super::*;

fn aborted() -> Standing {
    let reason = String::new();
    Standing::Ended(Outcome::Aborted { reason })
}

fn committed() -> Standing {
    Standing::Ended(Outcome::Committed)
}

/// Of several answers the one that is told is the same in whatever order they come.
#[test]
fn a_commit_counts_most_then_the_coordinator_then_who_knows_anything() {
    for (answers, told) in [
        (
            vec![(Standing::Open, false), (committed(), false)],
            committed(),
        ),
        (
            vec![(Standing::Open, true), (committed(), false)],
            committed(),
        ),
        (
            vec![(Standing::Open, true), (aborted(), false)],
            Standing::Open,
        ),
        (
            vec![(Standing::NotKnown, false), (aborted(), false)],
            aborted(),
        ),
        (vec![(Standing::Open, false), (aborted(), false)], aborted()),
        (
            vec![(Standing::NotKnown, true), (Standing::Open, false)],
            Standing::NotKnown,
        ),
        (
            vec![(Standing::Forgotten, false), (Standing::Open, false)],
            Standing::Open,
        ),
    ] {
        let mut backwards = answers.clone();
        backwards.reverse();
        for answers in [answers, backwards] {
            let best = answers.into_iter().fold(None, better).unwrap();
            assert_eq!(best.0, told);
        }
    }
}

#[tokio::test]
async fn what_no_member_would_do_is_not_sent() {
    let client = Client::new(["127.0.0.1:1"], ClientOptions::default()).unwrap();
    let id = "1-0.0-0000000000000001".parse().unwrap();
    let refused = client.run(id, &[], Mode::Blocking).await;
    assert!(
        matches!(refused, Err(ClientError::Invalid(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_named() {
    let options = ClientOptions {
        timeout: Duration::from_millis(300),
        ..ClientOptions::default()
    };
    let client = Client::new(["127.0.0.1:1"], options).unwrap();
    for failed in [
        client.new_id(None).await.map(drop),
        client.new_id(Some(NodeId(1))).await.map(drop),
        client.get(NodeId(1), "key").await.map(drop),
    ] {
        let Err(ClientError::Unavailable { tried }) = failed else {
            panic!("{failed:?}");
        };
        assert_eq!(tried[0].endpoint, "127.0.0.1:1");
    }
    assert!(client.members().await.is_empty());
}
