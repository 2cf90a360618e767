//! Many batches share a write and a sync, and the queue is bounded.

use crate::support::*;
use quorate_storage::Options;
use std::time::Duration;

#[test]
fn batches_that_arrive_during_a_sync_share_the_next_one() {
    let temp = tempfile::tempdir().unwrap();
    let mut probe = Probe::open(temp.path());
    probe.faults.delay_syncs(Duration::from_millis(30));
    let (writes, syncs) = (probe.faults.writes(), probe.faults.syncs());
    let batches: Vec<Batch> = (0..500).map(|n| batch(n % 4, &n.to_string())).collect();
    let waiting: Vec<_> = batches.iter().map(|batch| probe.append(batch)).collect();
    for done in waiting {
        done.recv().unwrap();
    }
    // Not even one in four of them had a write or a sync of its own.
    assert!(probe.faults.syncs() - syncs < 125);
    assert!(probe.faults.writes() - writes < 125);
    // Acknowledged in the order of the appends.
    assert!(probe.acknowledged.lock().iter().copied().eq(0..500));
    probe.log.close().unwrap();
    assert!(holds(&reopen(temp.path()).unwrap(), &batches));
}

#[test]
fn a_log_is_congested_until_the_disk_has_caught_up() {
    let temp = tempfile::tempdir().unwrap();
    let options = Options {
        queue_bytes: 10_000,
        ..Options::default()
    };
    let mut probe = Probe::open_with(temp.path(), options);
    probe.faults.delay_syncs(Duration::from_millis(30));
    assert!(!probe.log.is_congested());
    let large = batch(1, &"x".repeat(6_000));
    let waiting = [probe.append(&large), probe.append(&large)];
    assert!(probe.log.is_congested());
    for done in waiting {
        done.recv().unwrap();
    }
    assert!(!probe.log.is_congested());
}

#[test]
fn closing_writes_what_is_queued_and_the_last_handle_may_go_anywhere() {
    let temp = tempfile::tempdir().unwrap();
    let mut probe = Probe::open(temp.path());
    probe.faults.delay_syncs(Duration::from_millis(10));
    let batches: Vec<Batch> = (0..50).map(|n| batch(n % 4, &n.to_string())).collect();
    let waiting: Vec<_> = batches.iter().map(|batch| probe.append(batch)).collect();
    probe.log.close().unwrap();
    assert!(waiting.iter().all(|done| done.try_recv().is_ok()));

    // The writer itself drops the last handle here.
    let log = reopen(temp.path()).unwrap();
    let (tell, dropped) = std::sync::mpsc::channel();
    let handle = log.clone();
    let done = Box::new(move || {
        drop(handle);
        tell.send(()).unwrap();
    });
    log.append(quorate_storage::GroupId(0), vec![], done)
        .unwrap();
    drop(log);
    dropped.recv().unwrap();
}

#[test]
fn what_was_appended_lazily_goes_with_the_next_batch_or_when_it_is_told_to() {
    let temp = tempfile::tempdir().unwrap();
    let log = reopen(temp.path()).unwrap();
    let (tell, heard) = std::sync::mpsc::channel();
    let done = |name: String| {
        let tell = tell.clone();
        Box::new(move || tell.send(name).unwrap())
    };
    let group = quorate_storage::GroupId;
    let before = log.rounds();
    for n in 0..50 {
        let lazy = done(format!("lazy {n}"));
        log.append_lazily(group(1), vec!["of two".into()], lazy)
            .unwrap();
        let urgent = done(format!("urgent {n}"));
        log.append(group(2), vec!["one sync".into()], urgent)
            .unwrap();
        assert_eq!(heard.recv().unwrap(), format!("lazy {n}"));
        assert_eq!(heard.recv().unwrap(), format!("urgent {n}"));
    }
    assert_eq!(log.rounds() - before, 50);

    log.append_lazily(group(1), vec![], done("hurried".to_owned()))
        .unwrap();
    log.hurry();
    assert_eq!(heard.recv().unwrap(), "hurried");
    // Closing forgets nothing.
    log.append_lazily(group(1), vec![], done("closed".to_owned()))
        .unwrap();
    log.close().unwrap();
    assert_eq!(heard.recv().unwrap(), "closed");
}
