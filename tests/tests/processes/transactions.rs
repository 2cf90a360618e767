//! Transactions between the stores of three members, each of which is killed again and again, as coordinator and as
//! participant.
//!
//! Every transaction moves an amount between accounts and leaves a mark at each of its participants. So afterwards it
//! can be read at every store by itself whether the transaction has taken effect there, whatever anybody was told.

use quorate_tests::cluster::{Cluster, Setup};
use quorate_tests::wait::{DEADLINE, eventually};
use quorate_transactions::{
    Client, ClientError, ClientOptions, Mode, Operation, Outcome, Share, TransactionId,
};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// How many transactions; a thousand and more for a thorough run.
const TRANSACTIONS: &str = "QUORATE_TRANSACTIONS";
/// The seed of what is done when; a random one by default.
const SEED: &str = "QUORATE_SEED";

const CALLERS: usize = 8;
const ACCOUNTS: u32 = 40;
const DEPOSIT: i64 = 1_000;

fn number<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok()?.parse().ok()
}

/// What a caller was told of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Committed,
    Aborted,
    /// Not until the end.
    Nothing,
}

/// A transaction that was run.
#[derive(Debug)]
struct Ran {
    mark: String,
    participants: Vec<u32>,
    told: Told,
}

fn client(cluster: &Cluster) -> Client {
    let options = ClientOptions {
        timeout: Duration::from_secs(3),
        attempt_timeout: Duration::from_millis(500),
    };
    Client::new(cluster.endpoints(), options).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_coordinators_and_participants_never_disagree_and_the_money_stays() {
    let seed = number(SEED).unwrap_or_else(rand::random::<u64>);
    let most = number(TRANSACTIONS).unwrap_or(400);
    println!("{SEED}={seed} {TRANSACTIONS}={most}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::start(Setup::default());
    let first = client(&cluster);
    let sum = deposits(&cluster, &first).await;

    let begun = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let seed = random.random();
        callers.spawn(call(client(&cluster), caller, seed, begun.clone(), most));
    }
    let kills = kill_again_and_again(&mut cluster, &mut random, &begun, most).await;
    let mut ran = Vec::new();
    while let Some(of_caller) = callers.join_next().await {
        ran.extend(of_caller.unwrap());
    }
    nothing_stays_locked(&cluster, &first).await;

    let stores = read_stores(&cluster, &first).await;
    let count = |told| ran.iter().filter(|one| one.told == told).count();
    let (committed, aborted) = (count(Told::Committed), count(Told::Aborted));
    println!(
        "{} transactions, {kills} kills: {committed} committed, {aborted} aborted, {} callers were not told",
        ran.len(),
        count(Told::Nothing)
    );
    for one in &ran {
        let there = |member: &u32| stores[member].contains_key(&one.mark);
        let at = one
            .participants
            .iter()
            .filter(|member| there(member))
            .count();
        let all = one.participants.len();
        assert!(
            at == 0 || at == all,
            "participants disagree: {one:?}, there at {at} of {all}"
        );
        match one.told {
            Told::Committed => assert_eq!(at, all, "committed, and not there: {one:?}"),
            Told::Aborted => assert_eq!(at, 0, "aborted, and there: {one:?}"),
            Told::Nothing => {}
        }
    }
    let names: BTreeSet<&String> = ran.iter().map(|one| &one.mark).collect();
    for (member, store) in &stores {
        for (key, value) in store.iter().filter(|(key, _)| key.starts_with("mark/")) {
            assert!(names.contains(key), "{key} at member {member} is nobody's");
            assert_eq!(
                *value, 1,
                "{key} took effect more than once at member {member}"
            );
        }
    }
    let accounts = stores.values().flatten();
    let accounts = accounts.filter(|(key, _)| key.starts_with("account/"));
    assert_eq!(
        accounts.map(|(_, value)| value).sum::<i64>(),
        sum,
        "the sum of the money"
    );
    assert!(
        committed > 0 && kills > 0,
        "something was done, and somebody killed"
    );
    cluster.finish().await;
}

/// Money for every account.
async fn deposits(cluster: &Cluster, client: &Client) -> i64 {
    let accounts = || (0..ACCOUNTS).map(|n| Operation::add(format!("account/{n}"), DEPOSIT));
    let shares: Vec<Share> = cluster
        .ids()
        .into_iter()
        .map(|id| share(id, accounts().collect()))
        .collect();
    eventually("the first deposit is committed", || async {
        let id = client.new_id(None).await.ok()?;
        let outcome = client.run(id, &shares, Mode::Blocking).await;
        match outcome {
            Ok(Outcome::Committed) => Some(()),
            // Aborted while members are still connecting.
            Ok(Outcome::Aborted { .. }) => None,
            Err(error) => panic!("the first deposit is lost: {error}"),
        }
    })
    .await;
    cluster.ids().len() as i64 * i64::from(ACCOUNTS) * DEPOSIT
}

fn share(member: u32, operations: Vec<Operation>) -> Share {
    Share {
        member: quorate::NodeId(member),
        operations,
    }
}

/// One caller: a transaction after the other, each with the same id until its outcome is known.
async fn call(
    client: Client,
    caller: usize,
    seed: u64,
    begun: Arc<AtomicUsize>,
    most: usize,
) -> Vec<Ran> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut ran = Vec::new();
    while begun.fetch_add(1, Ordering::Relaxed) < most {
        let mark = format!("mark/{caller}/{}", ran.len());
        let mut members = [1, 2, 3];
        members.shuffle(&mut random);
        let coordinator = random.random_range(1..=3);
        let mode = match random.random() {
            true => Mode::Blocking,
            false => Mode::NonBlocking,
        };
        let amount = random.random_range(1..=50);
        let mut moved = vec![-amount, amount];
        if random.random() {
            moved = vec![-2 * amount, amount, amount];
        }
        let shares: Vec<Share> = std::iter::zip(members, moved)
            .map(|(member, amount)| {
                let account = format!("account/{}", random.random_range(0..ACCOUNTS));
                // Added, so that it shows if it took effect twice.
                let operations = vec![
                    Operation::add(account, amount),
                    Operation::add(mark.clone(), 1),
                ];
                share(member, operations)
            })
            .collect();
        // So that there is time for somebody to be killed, and for everybody to be up.
        sleep(Duration::from_millis(random.random_range(0..100))).await;
        let id = id(&client, coordinator).await;
        let told = outcome(&client, id, &shares, mode, &mut random).await;
        let participants = shares.iter().map(|share| share.member.0).collect();
        ran.push(Ran {
            mark,
            participants,
            told,
        });
    }
    ran
}

async fn id(client: &Client, coordinator: u32) -> TransactionId {
    let what = format!("member {coordinator} gives an id");
    eventually(&what, || async {
        client.new_id(Some(quorate::NodeId(coordinator))).await.ok()
    })
    .await
}

/// Runs a transaction until its outcome is known, with the same id. Now and then a caller gives up in the middle and
/// asks again, as one that was restarted would.
async fn outcome(
    client: &Client,
    id: TransactionId,
    shares: &[Share],
    mode: Mode,
    random: &mut StdRng,
) -> Told {
    let began = Instant::now();
    while began.elapsed() < DEADLINE {
        let patience = match random.random_ratio(1, 5) {
            true => Duration::from_millis(random.random_range(1..20)),
            false => Duration::from_secs(10),
        };
        match tokio::time::timeout(patience, client.run(id, shares, mode)).await {
            Ok(Ok(Outcome::Committed)) => return Told::Committed,
            Ok(Ok(Outcome::Aborted { .. })) => return Told::Aborted,
            Err(_) | Ok(Err(ClientError::Unknown { .. } | ClientError::Unavailable { .. })) => {}
            Ok(Err(error)) => panic!("{id}: {error}"),
        }
    }
    Told::Nothing
}

/// Kills members one after the other while there are transactions to begin; all run at the end.
async fn kill_again_and_again(
    cluster: &mut Cluster,
    random: &mut StdRng,
    begun: &AtomicUsize,
    most: usize,
) -> usize {
    let mut kills = 0;
    while begun.load(Ordering::Relaxed) < most {
        sleep(Duration::from_millis(random.random_range(200..1_500))).await;
        let victim = random.random_range(1..=3);
        cluster.kill(victim);
        kills += 1;
        let also = (victim % 3) + 1;
        let both = random.random_ratio(1, 4);
        if both {
            cluster.kill(also);
            kills += 1;
        }
        sleep(Duration::from_millis(random.random_range(0..600))).await;
        cluster.start_member(victim);
        if both {
            cluster.start_member(also);
        }
    }
    kills
}

/// Waits until every member knows the outcome of everything.
async fn nothing_stays_locked(cluster: &Cluster, client: &Client) {
    eventually("no member is in doubt about anything", || async {
        let statuses = client.status().await;
        let known = statuses.into_iter().filter_map(|(_, answer)| answer.ok());
        let idle = known.filter(|status| status.in_doubt_total == 0 && status.open == 0);
        (idle.count() == cluster.ids().len()).then_some(())
    })
    .await;
}

/// All numbers of all members.
async fn read_stores(cluster: &Cluster, client: &Client) -> BTreeMap<u32, BTreeMap<String, i64>> {
    let mut stores = BTreeMap::new();
    for id in cluster.ids() {
        let items = client.list(quorate::NodeId(id)).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let numbers = items.iter();
        let numbers = numbers.map(|(key, value)| (text(key), text(value).parse().unwrap()));
        stores.insert(id, numbers.collect());
    }
    stores
}

/// Runs `quorate txn` with these words; its exit status, and what it printed as JSON, one value a line.
fn txn(cluster: &Cluster, words: &[&str]) -> (i32, Vec<serde_json::Value>) {
    let mut command = Cluster::quorate();
    command.arg("txn").args(words).arg("--json");
    let output = command
        .env("QUORATE_ENDPOINTS", cluster.endpoints().join(","))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let values = said.lines().map(|line| serde_json::from_str(line).unwrap());
    (output.status.code().unwrap(), values.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_moves_money_says_why_not_and_takes_an_id_once() {
    let mut cluster = Cluster::start(Setup {
        event_log: true,
        ..Setup::default()
    });
    let first = client(&cluster);
    deposits(&cluster, &first).await;
    nothing_stays_locked(&cluster, &first).await;

    let (status, said) = txn(&cluster, &["id", "--coordinator", "3"]);
    assert_eq!(status, 0);
    let id = said[0]["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("3-"), "{id}");
    let transfer = ["transfer", "--from", "1/account/0", "--to", "2/account/0"];
    let ten = [&transfer[..], &["10", "--id", &id]].concat();
    for _ in 0..2 {
        let (status, said) = txn(&cluster, &ten);
        assert_eq!(
            (status, &said[0]["outcome"]),
            (0, &"committed".into()),
            "{said:?}"
        );
    }
    let amount = |cluster: &Cluster, account| txn(cluster, &["get", account]).1[0]["value"].clone();
    assert_eq!(amount(&cluster, "1/account/0"), "990");
    assert_eq!(amount(&cluster, "2/account/0"), "1010");

    let (status, said) = txn(&cluster, &[&transfer[..], &["1000"]].concat());
    assert_eq!((status, &said[0]["outcome"]), (1, &"aborted".into()));
    let reason = said[0]["reason"].as_str().unwrap();
    let expected = "member 1: account/0 is 990, and -1000 would take it below zero";
    assert_eq!(reason, expected);

    let share = "1: absent state; put state open; add account/0 10";
    let run = ["run", share, "3: add account/0 -10", "--non-blocking"];
    assert_eq!(txn(&cluster, &run).0, 0);
    assert_eq!(txn(&cluster, &run).0, 1, "the state is not absent any more");
    assert_eq!(amount(&cluster, "1/state"), "open");

    // The id is known after a restart of its coordinator, and while that is away nobody makes anything up.
    cluster.kill(3);
    let standing = || txn(&cluster, &["status", &id, "--timeout", "1"]);
    let (status, said) = standing();
    assert_eq!(
        (status, &said[0]["outcome"]),
        (0, &"committed".into()),
        "participants know"
    );
    let (status, _) = txn(&cluster, &["status", "3-1.0-1", "--timeout", "1"]);
    assert_eq!(status, 3, "only member 3 can say that there is none");
    cluster.start_member(3);
    let again = eventually("member 3 answers", || async {
        let (status, said) = txn(&cluster, &ten);
        (status != 3).then_some((status, said))
    })
    .await;
    assert_eq!((again.0, &again.1[0]["outcome"]), (0, &"committed".into()));
    assert_eq!(amount(&cluster, "1/account/0"), "1000");

    // What it waited for: two messages there and back, and two syncs, one more for the first of its coordinator.
    let dir = cluster.dir().to_str().unwrap().to_owned();
    let (status, said) = txn(&cluster, &["path", &dir, &id]);
    let hops = said[0]["told"]["hops"].as_array().unwrap();
    let count = |kind: &str| hops.iter().filter(|hop| hop["kind"] == kind).count();
    let syncs = hops.iter().filter(|hop| hop["own"] == true).count();
    assert_eq!(
        (status, said.len(), count("message"), count("timer")),
        (0, 1, 2, 0),
        "{said:?}"
    );
    assert!((2..=3).contains(&syncs), "{said:?}");
    assert_eq!(txn(&cluster, &["path", &dir, "3-1.0-1"]), (1, vec![]));
    cluster.finish().await;
}
