//! Every request is answered once, whatever the outputs say.

use super::*;
use crate::Bytes;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tokio_stream::StreamExt;

/// Counts the commands that it was given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Count(u32);

impl StateMachine for Count {
    type Command = Bytes;
    type Query = ();
    type Response = u32;
    fn apply(&mut self, _: Index, _: &Bytes) -> u32 {
        self.0 += 1;
        self.0
    }
    fn query(&self, (): &()) -> u32 {
        self.0
    }
}

type Receiver = oneshot::Receiver<Verdict<Count>>;

fn outputs() -> Outputs<Count> {
    let tuning = Tuning {
        max_waiting: 3,
        max_waiting_bytes: 100,
        ..Tuning::default()
    };
    Outputs::new(NodeId(1), &tuning)
}

fn write(sequence: u64) -> Request {
    let session = SessionId(7);
    Request::Write { session, sequence }
}

fn applied(sequence: u64, outcome: Outcome<u32>) -> Output<Count> {
    Output::Applied {
        index: Index(sequence + 10),
        session: SessionId(7),
        sequence,
        command: Bytes::from_static(b"command"),
        outcome,
    }
}

fn became(role: RoleName) -> Output<Count> {
    Output::Became {
        term: Term(2),
        role,
        leader: None,
    }
}

/// Waits for a request; whether it is to be submitted, and where its answer will be.
fn wait(outputs: &Outputs<Count>, request: Request, bytes: usize) -> (bool, Receiver) {
    let entered = outputs.shared.waiting.enter(request, bytes).unwrap();
    (entered.new, entered.answer)
}

fn refused(outputs: &Outputs<Count>, request: Request, bytes: usize) -> SubmitError {
    let Err(rejected) = outputs.shared.waiting.enter(request, bytes) else {
        panic!("{request:?} may wait");
    };
    rejected.into()
}

/// The error that a request was answered with; `None` if it still waits.
fn error(receiver: &mut Receiver) -> Option<SubmitError> {
    match receiver.try_recv() {
        Ok(verdict) => verdict.err(),
        Err(TryRecvError::Closed) => Some(SubmitError::Unknown),
        Err(TryRecvError::Empty) => None,
    }
}

#[test]
fn each_request_is_given_its_own_answer() {
    let mut outputs = outputs();
    let (_, mut first) = wait(&outputs, write(1), 0);
    let (_, mut second) = wait(&outputs, write(2), 0);
    outputs.take(applied(2, Outcome::Applied(5)));
    assert!(first.try_recv().is_err());
    let Ok(Ok(Answer::Written(Outcome::Applied(5)))) = second.try_recv() else {
        panic!("the second was applied");
    };
    outputs.take(applied(1, Outcome::Superseded));
    let Ok(Ok(Answer::Written(Outcome::Superseded))) = first.try_recv() else {
        panic!("the first was too late");
    };
    assert_eq!(outputs.shared.status().applied, Index(11));
}

#[test]
fn a_refusal_says_who_leads() {
    let mut outputs = outputs();
    let request = Request::Read { id: 4 };
    let (_, mut read) = wait(&outputs, request, 0);
    let leader = Some(NodeId(3));
    let refusal = Refusal::NotLeader { leader };
    outputs.take(Output::Refused { request, refusal });
    assert_eq!(error(&mut read), Some(SubmitError::NotLeader { leader }));
}

#[test]
fn what_waits_when_leadership_is_lost_is_unknown_once() {
    let mut outputs = outputs();
    let (_, mut pending) = wait(&outputs, write(1), 40);
    outputs.take(became(RoleName::Leader));
    assert_eq!(error(&mut pending), None);
    outputs.take(became(RoleName::Follower));
    assert_eq!(error(&mut pending), Some(SubmitError::Unknown));

    // It is applied all the same; nobody is told twice, and the retry is a request of its own.
    outputs.take(applied(1, Outcome::Applied(1)));
    let (new, _retry) = wait(&outputs, write(1), 100);
    assert!(new, "its bytes were given back, and it no longer waits");
}

#[test]
fn a_request_that_waits_already_is_not_submitted_again() {
    let mut outputs = outputs();
    let (new, mut earlier) = wait(&outputs, write(1), 60);
    assert!(new);
    let (new, mut later) = wait(&outputs, write(1), 60);
    assert!(!new);
    outputs.take(applied(1, Outcome::Applied(1)));
    assert!(later.try_recv().unwrap().is_ok());
    assert!(earlier.try_recv().is_err(), "only one is answered");
}

#[test]
fn no_more_waits_than_is_allowed() {
    let mut outputs = outputs();
    let (_, _long) = wait(&outputs, write(1), 200); // alone, so it gets through
    assert_eq!(refused(&outputs, write(2), 1), SubmitError::Busy);
    outputs.take(applied(1, Outcome::Applied(1)));
    let _waiting: Vec<_> = (2..5)
        .map(|sequence| wait(&outputs, write(sequence), 33))
        .collect();
    assert_eq!(refused(&outputs, write(5), 0), SubmitError::Busy);
    outputs.shared.waiting.forget(&write(2));
    wait(&outputs, write(5), 34);
}

#[test]
fn what_waits_when_the_driver_stops_is_unknown_and_nothing_waits_after_it() {
    let outputs = outputs();
    let (_, mut pending) = wait(&outputs, write(1), 0);
    let shared = outputs.shared();
    drop(outputs);
    assert_eq!(error(&mut pending), Some(SubmitError::Unknown));
    let rejected = shared.waiting.enter(write(2), 0).err();
    assert_eq!(rejected, Some(crate::Rejected::Stopped));
}

#[tokio::test]
async fn subscribers_see_what_was_applied_and_no_retries() {
    let mut outputs = outputs();
    let mut changes = outputs.shared.subscribe();
    outputs.take(applied(1, Outcome::Applied(1)));
    outputs.take(applied(1, Outcome::Repeated(1)));
    outputs.take(applied(2, Outcome::Expired));
    outputs.take(applied(3, Outcome::Applied(2)));
    let shared = outputs.shared();
    drop(outputs);
    let mut seen = Vec::new();
    while let Some(change) = changes.next().await {
        let change = change.unwrap();
        seen.push((change.index, change.response));
    }
    assert_eq!(seen, [(Index(11), 1), (Index(13), 2)]);
    assert!(shared.subscribe().next().await.is_none());
}

#[tokio::test]
async fn a_subscriber_that_is_too_slow_is_told_so() {
    let mut outputs = outputs();
    let mut changes = outputs.shared.subscribe();
    for sequence in 0..CHANGES_BEHIND as u64 + 5 {
        outputs.take(applied(sequence, Outcome::Applied(1)));
    }
    let lagged = changes.next().await.unwrap().unwrap_err();
    assert_eq!(lagged, Lagged { missed: 5 });
    assert_eq!(changes.next().await.unwrap().unwrap().index, Index(15));
}
