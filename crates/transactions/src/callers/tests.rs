//! Who waits for which transaction, and what is said to them.

use super::*;
use quorate::NodeId;
use quorate_commit::Committed;

const ME: NodeId = NodeId(1);

fn recovered(durable: &Durable) -> Callers {
    let callers = Callers::default();
    callers.recover(durable);
    callers
}

fn txn(epoch: u64, number: u64) -> TxnId {
    TxnId {
        coordinator: ME,
        epoch,
        number,
    }
}

fn id(callers: &Callers, nonce: u64) -> TransactionId {
    TransactionId {
        coordinator: ME,
        since: callers.mark(),
        nonce,
    }
}

fn aborted() -> Outcome {
    let reason = "no".to_owned();
    Outcome::Aborted { reason }
}

/// The machine begins and ends a transaction.
fn run(callers: &Callers, id: TransactionId, txn: TxnId, outcome: Outcome) {
    assert!(matches!(callers.admit(id), Ok(Admission::New(_))));
    callers.begun(txn);
    callers.ended(id.request(), txn, outcome);
}

#[test]
fn a_request_that_is_repeated_is_the_same_transaction() {
    let callers = recovered(&Durable::default());
    let id = id(&callers, 7);
    assert_eq!(callers.standing(id), Standing::NotKnown);
    let Ok(Admission::New(mut first)) = callers.admit(id) else {
        panic!("it is new");
    };
    assert_eq!(callers.open(), 1);
    assert_eq!(callers.standing(id), Standing::Open);
    let Ok(Admission::Waiting(mut second)) = callers.admit(id) else {
        panic!("it is under way");
    };
    callers.begun(txn(1, 1));
    callers.ended(id.request(), txn(1, 1), aborted());
    assert_eq!(first.try_recv().unwrap(), Ok(aborted()));
    assert_eq!(second.try_recv().unwrap(), Ok(aborted()));
    // Also one that was aborted: its caller was told so.
    assert!(matches!(callers.admit(id), Ok(Admission::Ended(outcome)) if outcome == aborted()));
    assert_eq!(callers.standing(id), Standing::Ended(aborted()));
    assert_eq!(callers.open(), 0);
}

#[test]
fn an_id_older_than_what_is_remembered_is_refused() {
    let callers = recovered(&Durable::default());
    let old = id(&callers, u64::MAX);
    let unused = id(&callers, u64::MAX - 1);
    run(&callers, old, txn(1, 1), Outcome::Committed);
    // Made when the first had begun, and not used yet.
    let later = id(&callers, u64::MAX - 2);
    for number in 2..=OUTCOMES_MAX as u64 + 1 {
        run(&callers, id(&callers, number), txn(1, number), aborted());
    }
    assert_eq!(callers.0.lock().known.len(), OUTCOMES_MAX);
    for forgotten in [old, unused] {
        assert!(matches!(callers.admit(forgotten), Err(RunError::Forgotten)));
        assert_eq!(callers.standing(forgotten), Standing::Forgotten);
    }
    assert_eq!(callers.standing(later), Standing::NotKnown);
    assert!(matches!(callers.admit(later), Ok(Admission::New(_))));
}

#[test]
fn a_restart_knows_what_was_committed_and_what_may_have_been_forgotten() {
    let first = recovered(&Durable::default());
    let [forgotten, ended, open, proposed, lost] = [1, 2, 3, 4, 5].map(|nonce| id(&first, nonce));
    first.begun(txn(1, 2));
    let recent = id(&first, 6);
    let committed = |id: TransactionId, mode| Committed {
        mode,
        request: id.request(),
        participants: vec![ME],
    };
    let durable = Durable {
        epoch: 1,
        forgotten: Some(txn(1, 1)),
        ended: [(txn(1, 2), ended.request())].into(),
        committed: [
            (txn(1, 3), committed(open, Mode::Blocking)),
            (txn(1, 4), committed(proposed, Mode::NonBlocking)),
        ]
        .into(),
        ..Durable::default()
    };
    let callers = recovered(&durable);
    let committed = Standing::Ended(Outcome::Committed);
    assert_eq!(callers.standing(ended), committed);
    assert_eq!(callers.standing(open), committed);
    assert_eq!(callers.standing(proposed), Standing::Open);
    // Consensus says.
    callers.ended(proposed.request(), txn(1, 4), aborted());
    assert_eq!(callers.standing(proposed), Standing::Ended(aborted()));
    // Nobody knows of these two which is which.
    assert!(matches!(callers.admit(forgotten), Err(RunError::Forgotten)));
    assert!(matches!(callers.admit(lost), Err(RunError::Forgotten)));
    // Later than all that is forgotten: it never committed.
    assert!(matches!(callers.admit(recent), Ok(Admission::New(_))));
    // What this life begins is later than its marks.
    assert!(
        callers.mark() < Mark::from(txn(2, 1)) && callers.mark() > Mark::from(txn(1, u64::MAX))
    );
}

#[test]
fn what_is_open_is_limited_and_a_refusal_leaves_nothing() {
    let callers = recovered(&Durable::default());
    for nonce in 0..OPEN_MAX as u64 {
        assert!(matches!(
            callers.admit(id(&callers, nonce)),
            Ok(Admission::New(_))
        ));
    }
    let one_more = id(&callers, u64::MAX);
    assert!(matches!(callers.admit(one_more), Err(RunError::Busy)));
    callers.refused(RequestId(0), RunError::Busy);
    assert_eq!(callers.standing(id(&callers, 0)), Standing::NotKnown);
    let Ok(Admission::New(mut last)) = callers.admit(one_more) else {
        panic!("there is room");
    };
    let waiting: Vec<_> = (1..WAITERS_MAX).map(|_| callers.admit(one_more)).collect();
    assert!(matches!(callers.admit(one_more), Err(RunError::Unknown)));
    drop(waiting);
    assert!(matches!(callers.admit(one_more), Ok(Admission::Waiting(_))));
    // The member stops: nobody is told a wrong outcome.
    callers.stop();
    assert_eq!(last.try_recv().unwrap(), Err(RunError::Unknown));
    assert!(matches!(callers.admit(one_more), Err(RunError::Unknown)));
}
