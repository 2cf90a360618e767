//! A log that is not what was acknowledged is refused, never shortened.

use crate::support::*;
use quorate_storage::{Faults, GroupId, OpenError, Options};
use std::path::Path;

/// A log of five rounds, over three groups.
fn five_rounds(dir: &Path) -> (Probe, Vec<Batch>) {
    let batches: Vec<Batch> = (0..5)
        .map(|n| batch(n % 3, &format!("record {n}")))
        .collect();
    let mut probe = Probe::open(dir);
    probe.append_all(&batches);
    (probe, batches)
}

/// Where in the newest file the record of `batch` is.
fn position_of(dir: &Path, batch: &Batch) -> usize {
    let bytes = std::fs::read(newest_segment(dir)).unwrap();
    let record = batch.1[0].as_slice();
    let found = bytes.windows(record.len()).position(|part| part == record);
    found.unwrap()
}

/// Flips one bit of each byte, one at a time; says of each byte whether the log was refused. A log that
/// opens holds everything, or at least `least` batches.
fn refused(dir: &Path, batches: &[Batch], least: usize) -> Vec<bool> {
    let length = newest_segment(dir).metadata().unwrap().len();
    let flip = |byte: u64| {
        let copied = tempfile::tempdir().unwrap();
        copy(dir, copied.path());
        let file = newest_segment(copied.path());
        Faults::flip_bit(&file, byte * 8 + byte % 8).unwrap();
        let before = std::fs::read(&file).unwrap();
        match reopen(copied.path()) {
            Ok(log) => {
                // Bytes between the frames are the engine's: it may notice only when it reads them.
                let readable =
                    (0..3).all(|group| log.replay(GroupId(group), &mut |_| Ok(())).is_ok());
                let whole = || (least..=batches.len()).any(|count| holds(&log, &batches[..count]));
                assert!(
                    !readable || whole(),
                    "byte {byte}: acknowledged batches are gone"
                );
                !readable
            }
            Err(error) => {
                assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
                assert_eq!(
                    std::fs::read(&file).unwrap(),
                    before,
                    "byte {byte}: changed"
                );
                true
            }
        }
    };
    (0..length).map(flip).collect()
}

#[test]
fn a_flipped_bit_anywhere_in_a_closed_log_loses_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let (probe, batches) = five_rounds(temp.path());
    probe.log.close().unwrap();
    let refused = refused(temp.path(), &batches, batches.len());

    let first = position_of(temp.path(), &batches[0]);
    let end = position_of(temp.path(), &batches[4]) + batches[4].1[0].len();
    assert!(refused[first..end].iter().all(|refused| *refused));
}

#[test]
fn a_flipped_bit_in_a_crashed_log_is_refused_before_the_last_round() {
    let temp = tempfile::tempdir().unwrap();
    let (probe, batches) = five_rounds(temp.path());
    probe.lose_power(0);
    // In the last round a flip cannot be told from a torn write.
    let refused = refused(temp.path(), &batches, batches.len() - 1);

    let first = position_of(temp.path(), &batches[0]);
    let end = position_of(temp.path(), &batches[3]) + batches[3].1[0].len();
    assert!(refused[first..end].iter().all(|refused| *refused));
}

#[test]
fn the_message_names_the_file_and_the_place() {
    let temp = tempfile::tempdir().unwrap();
    let (probe, batches) = five_rounds(temp.path());
    probe.log.close().unwrap();
    let file = newest_segment(temp.path());
    let byte = position_of(temp.path(), &batches[2]);
    Faults::flip_bit(&file, byte as u64 * 8).unwrap();
    let message = reopen(temp.path()).unwrap_err().to_string();
    assert!(message.contains(file.to_str().unwrap()), "{message}");
    assert!(message.contains("a batch is missing"), "{message}");
}

#[test]
fn a_missing_file_is_noticed_wherever_it_was() {
    let temp = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes: 300,
        ..Options::default()
    };
    let batches: Vec<Batch> = (0..20).map(|n| batch(n % 3, "record")).collect();
    let mut probe = Probe::open_with(temp.path(), options);
    probe.append_all(&batches);
    probe.log.close().unwrap();

    let count = segments(temp.path()).len();
    assert!(count > 3);
    for missing in 0..count - 1 {
        let copied = tempfile::tempdir().unwrap();
        copy(temp.path(), copied.path());
        std::fs::remove_file(&segments(copied.path())[missing]).unwrap();
        let error = reopen(copied.path()).unwrap_err();
        assert!(error.to_string().contains("is missing"), "{error}");
    }
}

#[test]
fn a_directory_whose_files_or_id_are_gone_is_refused() {
    for gone in ["segments", "log-id"] {
        let temp = tempfile::tempdir().unwrap();
        let (probe, _) = five_rounds(temp.path());
        probe.log.close().unwrap();
        let path = temp.path().join(gone);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
        let error = reopen(temp.path()).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }
}

#[test]
fn garbage_after_the_end_is_cut_off_and_an_old_round_there_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let (probe, batches) = five_rounds(temp.path());
    probe.log.close().unwrap();
    let file = newest_segment(temp.path());
    let intact = std::fs::read(&file).unwrap();

    std::fs::write(&file, [intact.as_slice(), &[7; 100]].concat()).unwrap();
    let log = reopen(temp.path()).unwrap();
    assert!(holds(&log, &batches));
    drop(log);

    let old = &intact[position_of(temp.path(), &batches[1]) - 100..];
    std::fs::write(&file, [intact.as_slice(), old].concat()).unwrap();
    let error = reopen(temp.path()).unwrap_err();
    assert!(error.to_string().contains("out of place"), "{error}");
}
