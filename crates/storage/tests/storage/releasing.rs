//! What is released is forgotten, what is not stays, and damage is told from deletion.

use crate::support::*;
use proptest::prelude::*;
use quorate_storage::{DiskError, GroupId, Options, RecordLog};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Files so short that some ten batches fill one.
fn short_files() -> Options {
    Options {
        segment_bytes: 1000,
        ..Options::default()
    }
}

fn record(n: u64) -> String {
    format!("record {n} {}", "x".repeat(60))
}

/// The numbers of the batches that are replayed, each once.
fn numbers(log: &RecordLog, group: u64) -> Vec<u64> {
    let mut found = Vec::new();
    log.replay_batches(GroupId(group), &mut |batch, _| {
        found.push(batch);
        Ok(())
    })
    .unwrap();
    found
}

/// Waits until the writer has deleted what it may.
fn until_bytes_are_below(log: &RecordLog, bytes: u64) {
    let start = Instant::now();
    while log.retained_bytes() >= bytes {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "nothing is deleted"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A closed log of 60 batches, alternating between two groups, of which each released all but two.
fn released(dir: &Path) {
    let mut probe = Probe::open_with(dir, short_files());
    let batches: Vec<Batch> = (0..60).map(|n| batch(n % 2, &record(n))).collect();
    probe.append_all(&batches);
    let before = segments(dir).len();
    let bytes = probe.log.retained_bytes();
    assert!(before > 5);
    probe.log.release(GroupId(0), 28);
    probe.log.release(GroupId(1), 28);
    until_bytes_are_below(&probe.log, bytes / 2);
    probe.log.close().unwrap();
    assert!(segments(dir).len() < before / 2);
}

#[test]
fn the_files_of_released_batches_go_and_numbers_go_on() {
    let temp = tempfile::tempdir().unwrap();
    released(temp.path());
    for n in 30..33 {
        let mut probe = Probe::open_with(temp.path(), short_files());
        let rest: Vec<u64> = (29..=n).collect();
        assert_eq!(numbers(&probe.log, 0), rest);
        assert_eq!(numbers(&probe.log, 1), [29, 30]);
        probe.append_all(&[batch(0, "more")]);
        probe.log.close().unwrap();
    }
}

#[test]
fn a_group_that_released_everything_keeps_its_numbers() {
    let temp = tempfile::tempdir().unwrap();
    let mut probe = Probe::open_with(temp.path(), short_files());
    probe.append_all(&[batch(3, "one"), batch(3, "two")]);
    probe.log.release(GroupId(3), 2);
    let others: Vec<Batch> = (0..40).map(|n| batch(1, &record(n))).collect();
    probe.append_all(&others);
    probe.log.release(GroupId(1), 40);
    until_bytes_are_below(&probe.log, 500);
    drop(probe);
    for _ in 0..2 {
        // No file has a batch of the group now.
        let log = reopen(temp.path()).unwrap();
        assert_eq!(numbers(&log, 3), []);
    }
    let log = reopen(temp.path()).unwrap();
    let append = log.append(GroupId(3), vec![], Box::new(|| {}));
    assert_eq!(append, Ok(3));
}

#[test]
fn one_group_that_needs_its_first_batch_keeps_everything() {
    let temp = tempfile::tempdir().unwrap();
    let mut probe = Probe::open_with(temp.path(), short_files());
    probe.append_all(&[batch(2, "needed")]);
    let others: Vec<Batch> = (0..40).map(|n| batch(1, &record(n))).collect();
    probe.append_all(&others);
    let before = segments(temp.path()).len();
    probe.log.release(GroupId(1), 40);
    probe.append_all(&[batch(1, "one more")]);
    assert_eq!(segments(temp.path()).len(), before);

    probe.log.release(GroupId(2), 1);
    until_bytes_are_below(&probe.log, 2000);
    drop(probe);
    let log = reopen(temp.path()).unwrap();
    assert_eq!(numbers(&log, 1), [41]);
    assert_eq!(numbers(&log, 2), []);
}

#[test]
fn a_crash_brings_back_only_whole_batches_and_loses_none_that_is_needed() {
    let temp = tempfile::tempdir().unwrap();
    let mut probe = Probe::open(temp.path());
    let batches: Vec<Batch> = (0..9).map(|n| batch(1, &record(n))).collect();
    probe.append_all(&batches);
    probe.log.release(GroupId(1), 4);
    // Nothing was written since.
    probe.lose_power(0);
    let log = reopen(temp.path()).unwrap();
    assert_eq!(numbers(&log, 1), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    log.release(GroupId(1), 4);
    log.close().unwrap();
    let log = reopen(temp.path()).unwrap();
    assert_eq!(numbers(&log, 1), [5, 6, 7, 8, 9]);
}

#[test]
fn files_that_were_not_released_are_missed() {
    let temp = tempfile::tempdir().unwrap();
    released(temp.path());
    let files = segments(temp.path());
    assert!(files.len() > 1);
    std::fs::remove_file(&files[0]).unwrap();
    let error = reopen(temp.path()).unwrap_err();
    assert!(error.to_string().contains("is missing"), "{error}");
}

#[test]
fn a_disk_that_fails_while_files_are_deleted_stops_the_log_and_loses_nothing() {
    for nth in 1..6 {
        let temp = tempfile::tempdir().unwrap();
        let mut probe = Probe::open_with(temp.path(), short_files());
        let batches: Vec<Batch> = (0..40).map(|n| batch(1, &record(n))).collect();
        probe.append_all(&batches);
        probe.faults.fail_sync(nth, DiskError::Io);
        probe.log.release(GroupId(1), 35);
        // Whether it failed in the deletion or after it.
        while probe.append(&batch(2, "after")).recv().is_ok() {}
        probe.failures.recv().unwrap();
        drop(probe);
        let log = reopen(temp.path()).unwrap();
        let found = numbers(&log, 1);
        assert_eq!(found.last(), Some(&40));
        assert!(found[0] <= 36, "{found:?}");
    }
}

#[test]
fn appends_go_on_while_files_are_deleted() {
    let temp = tempfile::tempdir().unwrap();
    let mut probe = Probe::open_with(temp.path(), short_files());
    for n in 0..300 {
        probe.append_all(&[batch(1, &record(n))]);
        probe.log.release(GroupId(1), n);
    }
    until_bytes_are_below(&probe.log, 3000);
    probe.log.close().unwrap();
    assert!(segments(temp.path()).len() < 10);
    assert_eq!(numbers(&reopen(temp.path()).unwrap(), 1), [300]);
}

#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    /// Of so many of a group's batches.
    Release(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3u64).prop_map(Step::Append),
        (0..3u64, 0..20u64).prop_map(|(group, up_to)| Step::Release(group, up_to)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whenever the power goes, each group has a suffix of its batches that begins at its release or
    /// before it and ends with the last acknowledged one or after it.
    #[test]
    fn any_releases_and_any_crashes(
        runs in prop::collection::vec((prop::collection::vec(step(), 1..30), 1..30u64, 0..300u64), 1..4),
    ) {
        let temp = tempfile::tempdir().unwrap();
        // Last acknowledged and last released batch.
        let mut groups: BTreeMap<u64, (u64, u64)> = (0..3).map(|group| (group, (0, 0))).collect();
        for (steps, at, keep) in runs {
            let mut probe = Probe::open_with(temp.path(), short_files());
            probe.faults.fail_sync(at, DiskError::Io);
            for step in steps {
                match step {
                    Step::Append(group) => {
                        if probe.append(&batch(group, &record(group))).recv().is_ok() {
                            groups.entry(group).or_default().0 += 1;
                        }
                    }
                    Step::Release(group, up_to) => {
                        probe.log.release(GroupId(group), up_to);
                        if let Some((last, released)) = groups.get_mut(&group) {
                            *released = up_to.min(*last).max(*released);
                        }
                    }
                }
            }
            let _ = probe.log.clone().close();
            probe.lose_power(keep);
            let log = reopen(temp.path()).unwrap();
            for (group, (last, released)) in &mut groups {
                let found = numbers(&log, *group);
                let first = found.first().copied().unwrap_or(*last + 1);
                prop_assert!(first <= *released + 1);
                let end = first + found.len() as u64;
                prop_assert!(found.iter().copied().eq(first..end));
                prop_assert!(end > *last);
                *last = end - 1;
            }
        }
    }
}
