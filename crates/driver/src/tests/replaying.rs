//! Event logs of drivers that lived, crashed and lived again.

use super::toy::{Command, Message};
use super::*;
use crate::{Divergence, ReplayReport, replay};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The files of three starts: the first lost two of its records in a crash, the second found one that
/// was durable without its knowledge.
async fn recorded() -> (TempDir, Vec<PathBuf>) {
    let folder = TempDir::new().unwrap();
    let recording = DriverConfig {
        event_log: Some(folder.path().to_path_buf()),
        ..config()
    };
    let start = |disk: Disk| Node::start(disk, recording.clone());

    let first = start(Disk::default());
    first.submit([Command::Add(1), Command::Gather(2)]).await;
    first.submit([Command::AddAndPing(3, 1)]).await;
    first.disk.sync();
    settle().await;
    first.submit([Command::Add(4)]).await;
    let disk = first.disk.after_crash();
    first.disk.fail(); // its process is gone
    soon(first.handle.stopped()).await;

    let second = start(disk);
    second.network.deliver(Message::Ping(9)).unwrap();
    second.submit([Command::Add(5)]).await;
    second.disk.sync_silently();
    let disk = second.disk.after_crash();

    let third = start(disk);
    third
        .submit([Command::AddAndPing(6, 1), Command::Arm(0)])
        .await;
    third.disk.sync();
    settle().await;
    soon(third.handle.shutdown()).await;

    let files = ["000001", "000002", "000003"];
    let files = files.map(|number| folder.path().join(format!("n1-g1-{number}.jsonl")));
    (folder, files.into())
}

/// The result of a replay with the file changed by `change`.
async fn replay_changed(
    file: usize,
    change: impl Fn(String) -> String,
) -> Result<ReplayReport, Divergence> {
    let (_folder, files) = recorded().await;
    let before = read(&files[file]);
    let after = change(before.clone());
    assert_ne!(before, after, "the change must change something");
    std::fs::write(&files[file], after).unwrap();
    replay::<Toy>(&ME, &files)
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap()
}

#[tokio::test]
async fn a_life_with_crashes_replays_with_identical_effects() {
    let (_folder, files) = recorded().await;
    let report = replay::<Toy>(&ME, &files).unwrap();
    assert_eq!(
        report,
        ReplayReport {
            starts: 3,
            steps: 6 + 3 + 6,
            records: 4,
            lost: 2,
        }
    );
    assert!(
        read(&files[2]).contains(r#"{"timeout":"#),
        "timers are recorded"
    );
    assert!(
        read(&files[2]).contains(r#"{"receive":{"from":1,"#),
        "and loopback"
    );
}

#[tokio::test]
async fn a_changed_effect_is_found_with_its_step() {
    let changed = replay_changed(0, |text| text.replace("Sum(1)", "Sum(2)")).await;
    let error = changed.unwrap_err();
    let Divergence::Effects { step, event, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!((*step, event.as_str()), (1, "Command(Add(1))"));
    assert!(error.to_string().contains("Sum(2)"), "{error}");
}

#[tokio::test]
async fn a_changed_event_is_found() {
    // Ping(9) becomes Ping(8).
    let changed = replay_changed(1, |text| text.replace(r#""0009""#, r#""0008""#)).await;
    assert!(matches!(changed, Err(Divergence::Effects { step: 1, .. })));
}

#[tokio::test]
async fn a_start_that_forgot_durable_records_is_found() {
    let forgot = |text: String| text.replace(r#""durable":2"#, r#""durable":1"#);
    let changed = replay_changed(1, forgot).await;
    assert!(matches!(
        changed,
        Err(Divergence::Records {
            found: 1,
            durable: 2,
            written: 4,
            ..
        })
    ));
}

#[tokio::test]
async fn a_start_that_found_other_records_is_found() {
    let other = |text: String| {
        let at = text.find(r#""fingerprint":""#).unwrap() + 15;
        let digit = if &text[at..=at] == "0" { "1" } else { "0" };
        format!("{}{digit}{}", &text[..at], &text[at + 1..])
    };
    let changed = replay_changed(2, other).await;
    assert!(matches!(
        changed,
        Err(Divergence::Fingerprint { records: 3, .. })
    ));
}

#[tokio::test]
async fn a_missing_start_is_found() {
    let (_folder, files) = recorded().await;
    let replayed = replay::<Toy>(&ME, &[&files[0], &files[2]]);
    assert!(matches!(replayed, Err(Divergence::Fingerprint { .. })));
    let replayed = replay::<Toy>(&ME, &[&files[1], &files[0]]);
    assert!(matches!(
        replayed,
        Err(Divergence::Records { found: 2, .. })
    ));
}

#[tokio::test]
async fn a_torn_last_line_is_left_out_and_one_in_the_middle_is_not() {
    let torn = |text: String| text.trim_end().rsplit_once('}').unwrap().0.to_string();
    let report = replay_changed(2, torn).await.unwrap();
    assert_eq!(report.starts, 3);
    let spliced = |text: String| text.replacen("}\n{", "}{", 1);
    let changed = replay_changed(1, spliced).await;
    assert!(matches!(changed, Err(Divergence::Invalid { line: 1, .. })));
}

#[tokio::test]
async fn files_end_anywhere_after_a_kill() {
    let (_folder, files) = recorded().await;
    let whole = std::fs::read(&files[2]).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&files[2], &whole[..length]).unwrap();
        replay::<Toy>(&ME, &files).unwrap();
    }
}
