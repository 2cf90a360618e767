//! Each span is in one file, once, whatever happens.

use std::fs;
use std::path::Path;

use quorate_export::archive::Config;

use crate::support::{Place, config, hasty, offer, spans_of, trace, until, until_archived};

/// Files of some ten traces.
fn small() -> Config {
    Config {
        file_bytes: 1 << 10,
        ..config()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_file_is_made_again_after_a_restart() {
    let place = Place::new();
    let archive = place.open(config());
    offer(&archive, &[trace(1), trace(2)]);
    archive.close().await;
    assert!(place.names().is_empty());
    let archive = place.open(config());
    offer(&archive, &[trace(3)]);
    drop(archive);
    let archive = place.open(hasty());
    until_archived(&archive).await;
    assert_eq!(place.spans(), spans_of(1..=3));
    assert_eq!(place.names().len(), 1);
}

/// Copies of the queue, as crashes just after a file was put leave it: the queue knows that the file ended
/// there, and not that it is in its place.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_before_a_crash_is_put_again_under_the_same_name() {
    let place = Place::new();
    let archive = place.open(small());
    let mut crashed = Vec::new();
    let mut offered = 0;
    for files in 1..=3 {
        while archive.figures().files < files {
            offered += 1;
            offer(&archive, &[trace(offered)]);
        }
        let copy = tempfile::tempdir().unwrap();
        copy_dir(&place.queue().join("queue"), &copy.path().join("queue"));
        crashed.push(copy);
    }
    archive.close().await;
    let names = place.names();
    let contents = |name: &String| fs::read(place.files().join(name)).unwrap();
    let before: Vec<_> = names.iter().map(contents).collect();

    for copy in crashed {
        // Of other files the end would be elsewhere.
        let archive = place.open_queue(copy.path(), config());
        until("a file", || archive.figures().files > 0).await;
        archive.close().await;
        let after: Vec<_> = names.iter().map(contents).collect();
        assert!(before == after, "all are as they were");
    }
    let archive = place.open(hasty());
    until_archived(&archive).await;
    assert_eq!(place.spans(), spans_of(1..=offered));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_is_tried_again() {
    let place = Place::new();
    let archive = place.open(hasty());
    // Where the partition should be is a file.
    let in_the_way = place.files().join("date=2026-11-21");
    fs::write(&in_the_way, "").unwrap();
    offer(&archive, &[trace(1)]);
    until("failures", || archive.figures().failures >= 3).await;
    assert!(archive.figures().problem.unwrap().contains("cannot be put"));
    offer(&archive, &[trace(2)]);
    assert_eq!(archive.figures().files, 0);
    fs::remove_file(in_the_way).unwrap();
    until_archived(&archive).await;
    assert_eq!(place.spans(), spans_of(1..=2));
    assert_eq!(archive.figures().problem, None);
}

/// The unfinished file cannot be written: it is made again from the queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_local_disk_that_fails_is_tried_again() {
    let place = Place::new();
    let archive = place.open(hasty());
    let spool = place.queue().join("open");
    fs::remove_dir(&spool).unwrap();
    offer(&archive, &[trace(1), trace(2)]);
    until("a failure", || archive.figures().failures >= 1).await;
    fs::create_dir(&spool).unwrap();
    offer(&archive, &[trace(3)]);
    until_archived(&archive).await;
    assert_eq!(place.spans(), spans_of(1..=3));
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_dir(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}
