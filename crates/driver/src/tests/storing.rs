//! Drivers on a real record log.

use super::toy::{Command, Output};
use super::*;
use crate::replay;
use quorate_storage::{Disk as RealDisk, Options, RecordLog};

#[tokio::test]
async fn two_groups_come_back_from_one_log_and_replay() {
    let folder = tempfile::tempdir().unwrap();
    let (data, events) = (folder.path().join("data"), folder.path().join("events"));
    for (life, sums) in [(0, [1, 10]), (1, [2, 20]), (2, [3, 30])] {
        let log = RecordLog::open(&data, Options::default(), RealDisk::real()).unwrap();
        for (group, number) in [(1, 1), (2, 10)] {
            let config = DriverConfig {
                event_log: Some(events.clone()),
                group: GroupId(group),
                ..config()
            };
            let (sender, mut outputs) = unbounded_channel();
            let told = move |output| drop(sender.send(output));
            let handle = spawn::<Toy>(config, ME, log.clone(), Wiretap::default(), told).unwrap();
            handle.submit(Command::Add(number)).await.unwrap();
            assert_eq!(
                soon(outputs.recv()).await,
                Some(Output::Started(number * life))
            );
            let sum = sums[group as usize - 1];
            assert_eq!(soon(outputs.recv()).await, Some(Output::Sum(sum)));
            soon(handle.shutdown()).await;
        }
        log.close().unwrap();
    }
    for group in [1, 2] {
        let files = (1..=3).map(|start| events.join(format!("n1-g{group}-{start:06}.jsonl")));
        let report = replay::<Toy>(&ME, &files.collect::<Vec<_>>()).unwrap();
        assert_eq!((report.starts, report.records, report.lost), (3, 3, 0));
    }
}

#[tokio::test]
async fn a_log_that_was_closed_stops_the_driver() {
    let folder = tempfile::tempdir().unwrap();
    let log = RecordLog::open(folder.path(), Options::default(), RealDisk::real()).unwrap();
    let (sender, mut outputs) = unbounded_channel();
    let told = move |output| drop(sender.send(output));
    let handle = spawn::<Toy>(config(), ME, log.clone(), Wiretap::default(), told).unwrap();
    log.close().unwrap();
    handle.submit(Command::Add(1)).await.unwrap();
    soon(handle.stopped()).await;
    assert_eq!(outputs.recv().await, Some(Output::Started(0)));
    assert_eq!(outputs.recv().await, None);
}
