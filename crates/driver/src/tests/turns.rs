//! Turns, promises, timers, bounds and endings.

use super::toy::{Command, Message, Output};
use super::*;
use crate::{Closed, TrySubmitError};

#[tokio::test]
async fn promises_leave_when_their_records_are_durable_and_not_before() {
    let mut node = Node::start(Disk::default(), config());
    settle().await;
    assert_eq!(node.told(), [Output::Started(0)]);

    node.submit([Command::Add(5), Command::AddAndPing(6, 2)])
        .await;
    node.submit([Command::PingNow(2)]).await;
    assert_eq!(node.told(), []);
    assert_eq!(node.network.sent(), [(PEER, Message::Ping(0))]);
    node.submit([Command::TellNow]).await;
    assert_eq!(node.told(), [Output::Sum(11)]);

    node.disk.sync();
    settle().await;
    assert_eq!(node.told(), [Output::Sum(5)]);
    assert_eq!(node.network.sent(), [(PEER, Message::Ping(6))]);
}

#[tokio::test]
async fn stepping_goes_on_while_syncs_are_in_flight() {
    let mut node = Node::start(Disk::default(), config());
    node.submit([Command::Add(1), Command::Add(2)]).await;
    node.submit([Command::Add(3)]).await;
    node.submit([Command::PingNow(2)]).await;
    assert_eq!(node.disk.in_flight(), [2, 1]); // one batch a turn
    assert_eq!(node.network.sent().len(), 1);
    assert_eq!(node.told(), [Output::Started(0)]);
    node.disk.sync();
    settle().await;
    assert_eq!(node.told(), [Output::Sum(1), Output::Sum(3)]);
    node.disk.sync();
    settle().await;
    assert_eq!(node.told(), [Output::Sum(6)]);
}

#[tokio::test]
async fn messages_to_itself_are_events_once_they_are_due() {
    let mut node = Node::start(Disk::default(), config());
    node.submit([Command::AddAndPing(7, ME.0)]).await;
    assert_eq!(node.told(), [Output::Started(0)]);
    node.disk.sync();
    settle().await;
    // The answer to itself needed no disk, so it came in the same turn.
    assert_eq!(node.told(), [Output::Pinged(ME, 7), Output::Ponged(ME, 7)]);
    assert_eq!(node.network.sent(), []);
}

#[tokio::test]
async fn a_timer_of_zero_ticks_gathers_the_events_of_a_turn() {
    let mut node = Node::start(Disk::default(), config());
    node.submit((0..10).map(Command::Gather)).await;
    assert_eq!(node.disk.in_flight(), [1]);
    assert_eq!(
        node.told(),
        [Output::Started(0), Output::Gathered(10)] // promised before the record
    );
}

#[tokio::test]
async fn a_machine_that_never_stops_holds_up_nobody() {
    let mut node = Node::start(Disk::automatic(), config());
    node.submit([Command::Spin]).await;
    node.submit([Command::Add(1)]).await;
    assert_eq!(node.told(), [Output::Started(0), Output::Sum(1)]);
    soon(node.handle.shutdown()).await;
}

/// Holds up everything on this thread, the driver included, as `SIGSTOP` does.
fn stop_the_world(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

#[tokio::test]
async fn a_timer_fires_once_however_late_the_driver_is() {
    let mut node = Node::start(Disk::automatic(), config());
    node.submit([Command::Arm(1)]).await;
    stop_the_world(50); // five times its ticks
    assert_eq!(soon(node.outputs.recv()).await, Some(Output::Started(0)));
    assert_eq!(soon(node.outputs.recv()).await, Some(Output::Alarm));
    stop_the_world(50);
    node.handle.submit(Command::Add(1)).await.unwrap();
    assert_eq!(soon(node.outputs.recv()).await, Some(Output::Sum(1)));
}

#[tokio::test]
async fn a_timer_armed_anew_fires_at_its_new_time() {
    const NEVER: u32 = 1_000_000;
    let mut node = Node::start(Disk::automatic(), config());
    node.submit([Command::Arm(NEVER)]).await;
    node.submit([Command::Arm(1)]).await;
    assert_eq!(soon(node.outputs.recv()).await, Some(Output::Started(0)));
    assert_eq!(soon(node.outputs.recv()).await, Some(Output::Alarm));

    node.submit([Command::Arm(1), Command::Arm(NEVER)]).await;
    stop_the_world(20);
    node.handle.submit(Command::Add(1)).await.unwrap();
    assert_eq!(soon(node.outputs.recv()).await, Some(Output::Sum(1)));
}

#[tokio::test]
async fn a_late_driver_steps_what_it_has_received_before_timers_fire() {
    let mut node = Node::start(Disk::automatic(), config());
    node.submit([Command::Arm(20)]).await;
    // The alarm is due and the disarming has arrived before the driver gets to run.
    node.handle.try_submit(Command::Disarm).unwrap();
    stop_the_world(250);
    node.handle.submit(Command::Add(1)).await.unwrap();
    settle().await;
    assert_eq!(node.told(), [Output::Started(0), Output::Sum(1)]);
}

#[tokio::test]
async fn a_full_inbox_refuses_commands_and_drops_messages() {
    let mut node = Node::start(
        Disk::automatic(),
        DriverConfig {
            inbox: 2,
            ..config()
        },
    );
    settle().await;
    node.told();
    node.handle.try_submit(Command::Add(1)).unwrap();
    node.network.deliver(Message::Ping(2)).unwrap();
    node.network.deliver(Message::Ping(3)).unwrap();
    let refused = node.handle.try_submit(Command::Add(4));
    assert_eq!(refused, Err(TrySubmitError::Full));
    assert_eq!(node.handle.stats().dropped_full, 1);
    settle().await;
    assert_eq!(node.told(), [Output::Sum(1), Output::Pinged(PEER, 2)]);
    node.handle.submit(Command::Add(5)).await.unwrap();
    settle().await;
    assert_eq!(node.told(), [Output::Sum(6)]);
}

#[tokio::test]
async fn the_bytes_of_waiting_messages_are_limited() {
    let mut node = Node::start(
        Disk::automatic(),
        DriverConfig {
            inbox_bytes: 5,
            ..config()
        },
    );
    settle().await;
    node.told();
    // Two bytes each, so two fit; and two again once these are stepped.
    for _ in 0..2 {
        for number in 1..=3 {
            node.network.deliver(Message::Ping(number)).unwrap();
        }
        settle().await;
        assert_eq!(
            node.told(),
            [1, 2].map(|number| Output::Pinged(PEER, number))
        );
    }
    assert_eq!(node.handle.stats().dropped_full, 2);
}

#[tokio::test]
async fn no_event_is_taken_while_too_much_waits_for_the_disk() {
    let mut node = Node::start(
        Disk::default(),
        DriverConfig {
            inbox: 1,
            unsynced_bytes: 1,
            ..config()
        },
    );
    settle().await;
    node.submit([Command::Add(1)]).await;
    node.submit([Command::Add(2)]).await; // waits in the inbox
    assert_eq!(node.disk.in_flight(), [1]);
    let refused = node.handle.try_submit(Command::Add(3));
    assert_eq!(refused, Err(TrySubmitError::Full));
    node.disk.sync();
    settle().await;
    assert_eq!(node.told(), [Output::Started(0), Output::Sum(1)]);
    assert_eq!(node.disk.in_flight(), [1]);
}

#[tokio::test]
async fn a_message_that_does_not_parse_is_the_peers_fault() {
    let node = Node::start(Disk::automatic(), config());
    assert!(
        node.network
            .deliver_bytes(Bytes::from_static(b"\xff"))
            .is_err()
    );
    settle().await;
    assert_eq!(node.handle.stats().steps, 0);
}

#[tokio::test]
async fn a_restart_begins_with_what_is_durable() {
    let node = Node::start(Disk::default(), config());
    node.submit([Command::Add(1)]).await;
    node.submit([Command::Add(2)]).await;
    node.disk.sync();
    let mut again = Node::start(node.disk.after_crash(), config());
    settle().await;
    assert_eq!(again.told(), [Output::Started(1)]);
}

#[tokio::test]
async fn a_record_of_another_machine_prevents_the_start() {
    let disk = Disk::default();
    disk.0.lock().unwrap().durable.push(Bytes::new());
    let started = spawn::<Toy>(config(), ME, disk, Wiretap::default(), |_| ());
    let error = started.err().unwrap().to_string();
    assert!(error.contains("does not parse"), "{error}");
}

#[tokio::test]
async fn shutdown_waits_for_the_syncs_in_flight() {
    let mut node = Node::start(Disk::default(), config());
    node.submit([Command::Add(1)]).await;
    node.submit([Command::Add(2)]).await;
    let shutdown = tokio::spawn(node.handle.clone().shutdown());
    settle().await;
    node.disk.sync();
    settle().await;
    assert!(!shutdown.is_finished());
    let refused = node.handle.try_submit(Command::Add(3));
    assert_eq!(refused, Err(TrySubmitError::Closed(Closed)));
    assert!(node.network.0.lock().unwrap().groups.is_empty());
    node.disk.sync();
    soon(shutdown).await.unwrap();
    assert_eq!(
        node.told(),
        [Output::Started(0), Output::Sum(1), Output::Sum(3)]
    );
    assert!(node.outputs.is_closed());
}

#[tokio::test]
async fn a_log_that_gives_up_stops_the_driver_and_nothing_leaves() {
    let mut node = Node::start(Disk::default(), config());
    node.submit([Command::Add(1)]).await;
    node.disk.fail();
    soon(node.handle.stopped()).await;
    assert_eq!(node.told(), [Output::Started(0)]);

    let mut node = Node::start(Disk::default(), config());
    node.disk.0.lock().unwrap().refuses = true;
    node.submit([Command::Add(1)]).await;
    soon(node.handle.stopped()).await;
    assert_eq!(node.told(), [Output::Started(0)]);
}

#[tokio::test]
async fn a_machine_that_panics_is_seen_to_have_stopped() {
    let node = Node::start(Disk::automatic(), config());
    node.submit([Command::Panic]).await;
    soon(node.handle.stopped()).await;
    assert_eq!(node.handle.submit(Command::Add(1)).await, Err(Closed));
}

#[tokio::test]
async fn a_look_sees_what_was_stepped_before_it_and_nobody_else_learns_of_it() {
    let mut node = Node::start(Disk::default(), config());
    node.handle.try_submit(Command::Add(5)).unwrap();
    let seen = node.handle.look(|toy| toy.sum);
    assert_eq!(soon(seen).await, Ok(5));
    node.submit([Command::Add(6)]).await;
    assert_eq!(soon(node.handle.look(|toy| toy.sum)).await, Ok(11));
    assert_eq!(node.handle.stats().steps, 2);
    assert_eq!(node.told(), [Output::Started(0)]); // nothing is durable yet

    let handle = node.handle.clone();
    node.disk.sync();
    node.disk.sync();
    soon(node.handle.shutdown()).await;
    assert_eq!(soon(handle.look(|toy| toy.sum)).await, Err(Closed));
}

#[tokio::test]
async fn who_takes_outputs_can_know_first_what_was_recovered() {
    let disk = Disk::default();
    let node = Node::start(disk.clone(), config());
    node.submit([Command::Add(5)]).await;
    disk.sync();
    soon(node.handle.shutdown()).await;

    let (sender, mut told) = unbounded_channel();
    let recovered = |sum: &u64| {
        let sum = *sum;
        move |output| drop(sender.send((sum, output)))
    };
    let started = spawn_recovered::<Toy, _>(config(), ME, disk, Wiretap::default(), recovered);
    let handle = started.unwrap();
    assert_eq!(soon(told.recv()).await, Some((5, Output::Started(5))));
    soon(handle.shutdown()).await;
}
