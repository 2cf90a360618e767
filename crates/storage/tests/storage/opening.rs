//! Which directories can be opened, and what is in them afterwards.

use crate::support::*;
use quorate_storage::{AppendError, GroupId, OpenError, Options};

#[test]
fn a_missing_and_an_empty_directory_become_an_empty_log() {
    let temp = tempfile::tempdir().unwrap();
    for dir in [temp.path().to_owned(), temp.path().join("a/b")] {
        let log = reopen(&dir).unwrap();
        assert!(holds(&log, &[]));
        log.close().unwrap();
        assert!(holds(&reopen(&dir).unwrap(), &[]));
    }
}

#[test]
fn several_groups_come_back_in_order_after_every_restart() {
    let temp = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for run in 0..4 {
        let mut probe = Probe::open(temp.path());
        assert!(holds(&probe.log, &all));
        for number in 0..20 {
            let records = (0..number % 3 + 1).map(|record| vec![run, number, record]);
            let batch = (u64::from(number) % 4, records.collect());
            probe.append_all(std::slice::from_ref(&batch));
            all.push(batch);
        }
        probe.log.close().unwrap();
    }
    assert!(holds(&reopen(temp.path()).unwrap(), &all));
}

#[test]
fn the_log_goes_on_in_a_new_file_when_one_is_full() {
    let temp = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes: 1000,
        ..Options::default()
    };
    let all: Vec<Batch> = (0..40).map(|n| batch(n % 3, &"x".repeat(100))).collect();
    let mut probe = Probe::open_with(temp.path(), options);
    probe.append_all(&all);
    probe.log.close().unwrap();
    assert!(segments(temp.path()).len() > 3);
    assert!(holds(&reopen(temp.path()).unwrap(), &all));
}

#[test]
fn a_second_process_is_told_who_has_the_directory() {
    let temp = tempfile::tempdir().unwrap();
    let first = reopen(temp.path()).unwrap();
    let error = reopen(temp.path()).unwrap_err();
    let OpenError::InUse { dir, pid } = &error else {
        panic!("{error}");
    };
    assert_eq!(
        (dir.as_path(), *pid),
        (temp.path(), Some(std::process::id()))
    );
    assert!(error.to_string().contains(&std::process::id().to_string()));
    drop(first);
    reopen(temp.path()).unwrap();
}

#[test]
fn a_file_is_not_a_data_directory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = reopen(file.path()).unwrap_err();
    assert!(matches!(error, OpenError::NotADirectory { .. }), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_directory_that_cannot_be_written_is_an_error_with_its_path() {
    // Not even root may create a file here.
    let error = reopen("/sys/kernel".as_ref()).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    assert!(error.to_string().contains("/sys/kernel/owner"), "{error}");
}

#[test]
fn an_interrupted_creation_is_taken_up_again() {
    let temp = tempfile::tempdir().unwrap();
    reopen(temp.path()).unwrap().close().unwrap();
    std::fs::remove_file(temp.path().join("log-id")).unwrap();
    // As a crash leaves it before the id is written: a file with its header.
    let segment = std::fs::File::options()
        .write(true)
        .open(newest_segment(temp.path()))
        .unwrap();
    for bytes in [64, 10, 0] {
        segment.set_len(bytes).unwrap();
        let copied = tempfile::tempdir().unwrap();
        copy(temp.path(), copied.path());
        assert!(holds(&reopen(copied.path()).unwrap(), &[]));
    }
}

#[test]
fn batches_beyond_the_limits_are_refused() {
    let temp = tempfile::tempdir().unwrap();
    let options = Options {
        max_record_bytes: 100,
        ..Options::default()
    };
    let probe = Probe::open_with(temp.path(), options);
    let append = |group, bytes: usize, records: usize| {
        let record = bytes::Bytes::from(vec![0; bytes]);
        let nobody = Box::new(|| {});
        probe
            .log
            .append(GroupId(group), vec![record; records], nobody)
    };
    assert_eq!(append(1, 100, 1), Ok(1));
    let too_large = AppendError::RecordTooLarge {
        bytes: 101,
        limit: 100,
    };
    assert_eq!(append(1, 101, 1), Err(too_large));
    let too_many = append(1, 100, 1_000_000);
    assert!(matches!(too_many, Err(AppendError::BatchTooLarge { .. })));
    let reserved = AppendError::ReservedGroup(GroupId(u64::MAX));
    assert_eq!(append(u64::MAX, 1, 1), Err(reserved));
    probe.log.clone().close().unwrap();
    assert_eq!(append(1, 1, 1), Err(AppendError::Stopped));
}
