//! A recorded feed: publishers that answer what they read, members that are killed and cut off, and everything in an
//! order in which causes come first.

use quorate_feed::{Client, ClientOptions, Follow, From};
use quorate_tests::chance;
use quorate_tests::cluster::{Cluster, Setup};
use quorate_tests::feed::{Heard, Said, check};
use quorate_tests::namespaces::Namespaces;
use quorate_tests::wait::{DEADLINE, eventually, until};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// At each member.
const PUBLISHERS: usize = 2;
/// Messages at once, at most.
const BATCH: u64 = 40;
/// Of one run, as often as it is scaled.
const MESSAGES: usize = 100_000;
/// Something happens to a member as often.
const FAULTS: usize = 30;
/// Messages by which publishers may be ahead of the slowest reader: half of what members keep for readers, of which
/// none may miss any.
const LEAD: usize = 8_000;

/// One who reads at a member, and answers.
struct Publisher {
    read: Arc<Mutex<Vec<Heard>>>,
    reading: JoinHandle<()>,
    /// How many messages it has published.
    speaking: JoinHandle<u64>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    published: AtomicUsize,
    /// How much each reader has read.
    heard: Vec<AtomicUsize>,
}

impl Shared {
    fn is_far_ahead(&self) -> bool {
        let heard = self.heard.iter().map(|heard| heard.load(Ordering::Relaxed));
        let slowest = heard.min().unwrap_or_default();
        self.published.load(Ordering::Relaxed) > slowest + LEAD
    }
}

impl Publisher {
    async fn start(
        cluster: &Cluster,
        id: u32,
        number: usize,
        seed: u64,
        shared: &Arc<Shared>,
    ) -> Self {
        let options = ClientOptions {
            timeout: DEADLINE,
            attempt_timeout: Duration::from_millis(500),
        };
        let client = Client::new([cluster.client_address(id)], options).unwrap();
        let follow = client.follow(From::Kept).await.unwrap();
        let read = Arc::default();
        let dice = StdRng::seed_from_u64(seed ^ (number as u64 + 1));
        Publisher {
            reading: tokio::spawn(reading(follow, number, Arc::clone(&read), shared.clone())),
            speaking: tokio::spawn(speaking(
                client,
                number,
                dice,
                Arc::clone(&read),
                shared.clone(),
            )),
            read,
        }
    }

    fn count(&self) -> usize {
        self.read.lock().unwrap().len()
    }
}

async fn reading(
    mut follow: Follow,
    reader: usize,
    read: Arc<Mutex<Vec<Heard>>>,
    shared: Arc<Shared>,
) {
    loop {
        let message = follow
            .next()
            .await
            .unwrap_or_else(|error| panic!("a reader: {error}"));
        let said = Said::parse(&message.body).expect("what was said can be read");
        read.lock().unwrap().push(Heard {
            member: message.sender.0,
            sequence: message.sequence,
            said,
        });
        shared.heard[reader].fetch_add(1, Ordering::Relaxed);
    }
}

/// Publishes a few messages whenever there is something new to answer.
async fn speaking(
    client: Client,
    publisher: usize,
    mut dice: StdRng,
    read: Arc<Mutex<Vec<Heard>>>,
    shared: Arc<Shared>,
) -> u64 {
    let (mut published, mut answered) = (0, 0);
    while !shared.stop.load(Ordering::Relaxed) {
        let count = read.lock().unwrap().len();
        if count == answered && published > 0 || shared.is_far_ahead() {
            sleep(Duration::from_millis(1)).await;
            continue;
        }
        answered = count;
        let more = dice.random_range(1..=BATCH);
        let said = (published..published + more).map(|number| Said {
            publisher,
            number,
            read: count,
        });
        let bodies: Vec<String> = said.map(|said| said.body()).collect();
        let done = client.publish("", bodies).await;
        done.unwrap_or_else(|error| panic!("publisher {publisher}: {error}"));
        published += more;
        shared.published.fetch_add(more as usize, Ordering::Relaxed);
    }
    published
}

/// What happens to members, as the dice fall.
async fn misfortune(cluster: &mut Cluster, dice: &mut StdRng) -> &'static str {
    let id = dice.random_range(1..=3);
    let a_while = Duration::from_millis(dice.random_range(50..800));
    match dice.random_range(0..3) {
        0 => {
            cluster.kill(id);
            sleep(a_while).await;
            cluster.start_member(id);
            "kill"
        }
        1 => {
            // All of them at once: what nobody else has is on the disk of its sender.
            for id in cluster.ids() {
                cluster.kill(id);
            }
            for id in cluster.ids() {
                cluster.start_member(id);
            }
            "kill of all"
        }
        _ => {
            let others = cluster.others(id);
            match cluster.network() {
                // Clients still reach it: it goes on alone.
                Some(network) => {
                    cut(network, id, &others, true);
                    sleep(a_while).await;
                    cut(network, id, &others, false);
                    "partition"
                }
                None => {
                    cluster.signal(id, Signal::STOP);
                    sleep(a_while).await;
                    cluster.signal(id, Signal::CONT);
                    "stop"
                }
            }
        }
    }
}

fn cut(network: &Namespaces, id: u32, others: &[u32], away: bool) {
    for other in others {
        network.deafen(id, *other, away);
        network.deafen(*other, id, away);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_feed_is_causal_while_members_are_killed_and_cut_off() {
    let (seed, scale) = (chance::seed(), chance::scale());
    let mut dice = StdRng::seed_from_u64(seed);
    let mut cluster = match Namespaces::create() {
        Ok(network) => Cluster::create_in(Setup::default(), network),
        Err(why) => {
            println!("members are stopped, not cut off, for want of a network of their own: {why}");
            Cluster::create(Setup::default())
        }
    };
    for id in cluster.ids() {
        cluster.start_member(id);
    }
    let readers = PUBLISHERS * cluster.ids().len();
    let shared = Arc::new(Shared {
        heard: (0..readers).map(|_| AtomicUsize::new(0)).collect(),
        ..Shared::default()
    });
    let mut publishers = Vec::new();
    for number in 0..readers {
        let id = (number / PUBLISHERS) as u32 + 1;
        publishers.push(Publisher::start(&cluster, id, number, seed, &shared).await);
    }

    let began = Instant::now();
    let (messages, faults) = (MESSAGES * scale, FAULTS * scale);
    let published = || shared.published.load(Ordering::Relaxed);
    let mut happened: Vec<&str> = Vec::new();
    for fault in 1..=faults {
        let target = messages * fault / (faults + 1);
        until("messages are published", || published() >= target).await;
        happened.push(misfortune(&mut cluster, &mut dice).await);
    }
    // In parts, each with a deadline of its own.
    while published() < messages {
        let before = published();
        until("more messages are published", || published() > before).await;
    }
    shared.stop.store(true, Ordering::Relaxed);
    let mut counts = Vec::new();
    for publisher in &mut publishers {
        counts.push((&mut publisher.speaking).await.unwrap());
    }
    let all: u64 = counts.iter().sum();
    let last = eventually("everybody is told everything", || async {
        let running = publishers
            .iter()
            .all(|publisher| !publisher.reading.is_finished());
        assert!(running, "a reader has ended early");
        let told = publishers.iter().map(Publisher::count);
        told.into_iter()
            .all(|count| count as u64 >= all)
            .then_some(Instant::now())
    })
    .await;
    let readers: Vec<Vec<Heard>> = publishers
        .iter()
        .map(|publisher| publisher.read.lock().unwrap().clone())
        .collect();
    for publisher in &publishers {
        publisher.reading.abort();
    }
    println!(
        "{all} messages, {} deliveries to readers, in {:?}; {happened:?}",
        readers.iter().map(Vec::len).sum::<usize>(),
        last - began
    );
    check(&readers, &counts).unwrap_or_else(|wrong| panic!("{wrong}"));
    cluster.finish().await;
}
