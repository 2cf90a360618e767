//! After a failure of the disk nothing is acknowledged, and the node hears of it once.

use crate::support::*;
use quorate_storage::{
    AppendError, Disk, DiskError, EXIT_DISK_FAILED, Faults, GroupId, Options, RecordLog,
};
use std::time::Duration;

/// Has the disk fail under a batch, then offers it ten more.
fn fails_once_and_for_all(plan: impl Fn(&Faults), operation: &str, errno: i32) {
    let temp = tempfile::tempdir().unwrap();
    let mut probe = Probe::open(temp.path());
    probe.append_all(&[batch(1, "before")]);
    plan(&probe.faults);
    probe.append(&batch(1, "during"));
    let error = probe.failures.recv().unwrap();
    assert_eq!(error.operation, operation);
    assert_eq!(error.source.raw_os_error(), Some(errno));
    assert_eq!(error.dir, temp.path());

    let syncs = probe.faults.syncs();
    for _ in 0..10 {
        let done = probe.append(&batch(2, "after"));
        assert!(done.recv().is_err(), "acknowledged after a failure");
    }
    assert_eq!(probe.acknowledged.lock().as_slice(), [0]);
    let closed = probe.log.clone().close().unwrap_err();
    assert_eq!(closed.operation, operation);
    assert!(probe.failures.try_recv().is_err(), "told twice");
    assert_eq!(probe.faults.syncs(), syncs, "a failed sync was tried again");
}

#[test]
fn a_failed_write() {
    let plan = |faults: &Faults| faults.fail_write(1, 0, DiskError::Io);
    fails_once_and_for_all(plan, "writing", 5);
}

#[test]
fn a_full_disk() {
    let plan = |faults: &Faults| faults.fail_write(1, 0, DiskError::NoSpace);
    fails_once_and_for_all(plan, "writing", 28);
}

#[test]
fn a_short_write() {
    let plan = |faults: &Faults| faults.fail_write(1, 30, DiskError::NoSpace);
    fails_once_and_for_all(plan, "writing", 28);
}

#[test]
fn a_failed_sync() {
    let plan = |faults: &Faults| faults.fail_sync(1, DiskError::Io);
    fails_once_and_for_all(plan, "syncing", 5);
}

#[test]
fn a_sync_that_finds_the_disk_full() {
    let plan = |faults: &Faults| faults.fail_sync(1, DiskError::NoSpace);
    fails_once_and_for_all(plan, "syncing", 28);
}

#[test]
fn a_disk_that_fails_while_a_new_file_is_begun() {
    let temp = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes: 300,
        ..Options::default()
    };
    let mut probe = Probe::open_with(temp.path(), options);
    let batches: Vec<Batch> = (0..9).map(|n| batch(1, &n.to_string())).collect();
    // Far enough that some of these fall into the change of files.
    for nth in 1..9 {
        probe.faults.fail_sync(nth, DiskError::Io);
        for batch in &batches {
            let _ = probe.append(batch).recv();
        }
        probe.failures.recv().unwrap();
        assert!(probe.failures.try_recv().is_err());
        drop(probe);
        reopen(temp.path()).unwrap().close().unwrap();
        probe = Probe::open_with(
            temp.path(),
            Options {
                segment_bytes: 300,
                ..Options::default()
            },
        );
    }
}

#[test]
fn a_disk_that_fails_at_the_start_is_an_error_of_opening() {
    let temp = tempfile::tempdir().unwrap();
    let faults = Faults::new();
    faults.fail_sync(1, DiskError::Io);
    let opened = RecordLog::open(temp.path(), Options::default(), Disk::faulty(&faults));
    assert!(opened.is_err());
    reopen(temp.path()).unwrap();
}

#[test]
fn a_panic_in_an_acknowledgement_stops_the_log_instead_of_the_acknowledgements() {
    let temp = tempfile::tempdir().unwrap();
    let probe = Probe::open(temp.path());
    let panics = Box::new(|| panic!("on purpose"));
    probe.log.append(GroupId(1), vec![], panics).unwrap();
    let error = probe.failures.recv().unwrap();
    assert!(error.to_string().contains("panicked"), "{error}");
    let refused = probe.log.append(GroupId(1), vec![], Box::new(|| {}));
    assert_eq!(refused, Err(AppendError::Stopped));
}

#[test]
fn by_default_the_process_says_why_it_stops() {
    const CHILD: &str = "QUORATE_TEST_FAILING_DIRECTORY";
    if let Ok(dir) = std::env::var(CHILD) {
        let faults = Faults::new();
        let disk = Disk::faulty(&faults);
        let log = RecordLog::open(dir.as_ref(), Options::default(), disk).unwrap();
        faults.fail_sync(1, DiskError::Io);
        log.append(GroupId(1), vec![], Box::new(|| {})).unwrap();
        // The process ends before this does.
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let name = "failures::by_default_the_process_says_why_it_stops";
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, temp.path())
        .output()
        .unwrap();
    assert_eq!(child.status.code(), Some(EXIT_DISK_FAILED));
    let message = String::from_utf8_lossy(&child.stderr);
    assert!(message.contains(temp.path().to_str().unwrap()), "{message}");
    assert!(message.contains("the node stops"), "{message}");
}
