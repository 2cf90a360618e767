//! A crash at any byte leaves what was acknowledged, and of the rest whole batches only.

use crate::support::*;
use proptest::prelude::*;
use quorate_storage::{DiskError, Options};

/// After a crash the log holds the first so many of `batches`, at least `acknowledged`.
fn survivors(log: &quorate_storage::RecordLog, batches: &[Batch], acknowledged: usize) -> usize {
    (acknowledged..=batches.len())
        .find(|count| holds(log, &batches[..*count]))
        .expect("acknowledged batches are gone, or half of one is there")
}

#[test]
fn the_last_write_torn_at_every_byte() {
    let temp = tempfile::tempdir().unwrap();
    let mut batches: Vec<Batch> = (0..5).map(|n| batch(n % 3, "acknowledged")).collect();
    let mut probe = Probe::open(temp.path());
    probe.append_all(&batches);

    // Three records in one batch, whose sync fails.
    let last = (1, vec![b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
    probe.faults.fail_sync(1, DiskError::Io);
    probe.append(&last);
    probe.failures.recv().unwrap();
    let segment = newest_segment(temp.path());
    let unsynced = probe.faults.unsynced_bytes(&segment).unwrap();
    assert!(unsynced > 60, "{unsynced}");
    drop(probe);
    let acknowledged = batches.len();
    batches.push(last);

    let length = segment.metadata().unwrap().len();
    let mut whole = 0;
    for keep in 0..=unsynced {
        let copied = tempfile::tempdir().unwrap();
        copy(temp.path(), copied.path());
        let file = std::fs::File::options()
            .write(true)
            .open(newest_segment(copied.path()))
            .unwrap();
        file.set_len(length - unsynced + keep).unwrap();

        let mut probe = Probe::open(copied.path());
        let count = survivors(&probe.log, &batches, acknowledged);
        whole += count - acknowledged;
        // What is appended next follows what survived.
        let mut expected = batches[..count].to_vec();
        expected.push(batch(1, "after"));
        probe.append_all(&expected[count..]);
        probe.log.close().unwrap();
        assert!(holds(&reopen(copied.path()).unwrap(), &expected), "{keep}");
    }
    assert_eq!(whole, 1, "the batch survives when all its bytes do");
}

#[test]
fn a_crash_without_a_torn_write_loses_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let batches: Vec<Batch> = (0..9).map(|n| batch(n % 2, &n.to_string())).collect();
    let mut probe = Probe::open(temp.path());
    probe.append_all(&batches);
    probe.lose_power(0);
    assert!(holds(&reopen(temp.path()).unwrap(), &batches));
}

#[derive(Clone, Debug)]
struct Run {
    batches: Vec<Batch>,
    /// At which write or sync the disk gives up, and after how many bytes of the write.
    at: u64,
    in_write: Option<usize>,
    /// How many of the bytes that were not synced survive.
    keep: u64,
}

fn run() -> impl Strategy<Value = Run> {
    let record = prop::collection::vec(any::<u8>(), 0..60);
    let batch = (0..4u64, prop::collection::vec(record, 1..4));
    (
        prop::collection::vec(batch, 1..30),
        1..12u64,
        prop::option::of(0..300usize),
        0..500u64,
    )
        .prop_map(|(batches, at, in_write, keep)| Run {
            batches,
            at,
            in_write,
            keep,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_batches_and_any_crashes_agree_with_memory(runs in prop::collection::vec(run(), 1..4)) {
        let temp = tempfile::tempdir().unwrap();
        let mut memory: Vec<Batch> = Vec::new();
        for run in runs {
            let options = Options { segment_bytes: 700, ..Options::default() };
            let mut probe = Probe::open_with(temp.path(), options);
            prop_assert!(holds(&probe.log, &memory));
            match run.in_write {
                Some(prefix) => probe.faults.fail_write(run.at, prefix, DiskError::NoSpace),
                None => probe.faults.fail_sync(run.at, DiskError::Io),
            }
            // Half of them wait for their turn, so that rounds of all sizes are written.
            for (number, batch) in run.batches.iter().enumerate() {
                let done = probe.append(batch);
                if number % 2 == 0 {
                    // Disconnected, if the disk has failed.
                    let _ = done.recv();
                }
            }
            let acknowledged = {
                // Closing waits for the writer; it reports the failure, if it came to that.
                let _ = probe.log.clone().close();
                probe.acknowledged.lock().clone()
            };
            prop_assert!(acknowledged.iter().copied().eq(0..acknowledged.len()));
            let before = memory.len();
            memory.extend(run.batches);
            probe.lose_power(run.keep);
            let log = reopen(temp.path()).unwrap();
            memory.truncate(survivors(&log, &memory, before + acknowledged.len()));
        }
    }
}
