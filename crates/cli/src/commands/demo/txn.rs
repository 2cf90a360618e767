//! Money that moves between the stores of three members, a coordinator that is killed in the middle of it, and not a
//! coin lost or made. Then the same without anybody who has to wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use quorate::NodeId;
use quorate_transactions::{
    Client, ClientOptions, Mode, Operation, Outcome as Ended, Share, Standing, TransactionId,
};
use rand::Rng;
use rand::seq::IndexedRandom;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::members::Members;
use super::{PATIENCE, Story, millis, replays};
use crate::commands::node::TRANSACTIONS;
use crate::outcome::{Failure, Outcome};

/// What to try with the members that are left running.
pub(super) const TALK: &str = "\
quorate txn list 1
quorate txn deposit 1/dora 100
quorate txn transfer --from 1/dora --to 2/emil 30
quorate txn transfer --from 1/dora --to 3/emil 1000
quorate txn status";

/// Who coordinates, and is killed.
const COORDINATOR: u32 = 3;

/// Whose money it is: each of them has an account at every member.
const OWNERS: [&str; 12] = [
    "anna", "berta", "carla", "dora", "emil", "frida", "georg", "hanna", "ida", "jakob", "klara",
    "leo",
];

/// What is in each account at first.
const DEPOSIT: i64 = 100;

/// Transfers at the same time.
const AT_ONCE: usize = 8;

/// How long transfers go on before something happens.
const A_WHILE: Duration = Duration::from_millis(700);

/// How often it is tried to kill the coordinator at a moment at which somebody depends on it.
const KILLS: usize = 5;

pub(super) async fn acts(story: &Story, members: &mut Members) -> Result<Outcome, Failure> {
    let client = founding(story, members).await?;
    let sum = deposits(story, &client, members).await?;
    one_transfer(story, &client).await?;

    story.line("BLOCKING: the decision is on the disk of the coordinator, and nowhere else")?;
    let victim = kill_in_the_middle(story, members, &client, Mode::Blocking).await?;
    blocked(story, members, &client, victim).await?;
    comeback(story, members, &client, Some(victim)).await?;
    let mut kept = sum_is(story, members, &client, sum).await?;

    story.line("NON-BLOCKING: a majority of the members decides, by consensus")?;
    let victim = kill_in_the_middle(story, members, &client, Mode::NonBlocking).await?;
    decided_without(story, members, &client, victim).await?;
    kept &= sum_is(story, members, &client, sum).await?;
    comeback(story, members, &client, None).await?;
    let same = replays(story, members, TRANSACTIONS)?;
    Ok(match kept && same {
        true => Outcome::Holds,
        false => Outcome::Refuted,
    })
}

async fn founding(story: &Story, members: &mut Members) -> Result<Client, Failure> {
    story.line(format_args!(
        "three members, each with a store of its own, on this machine: {}",
        members.dir().display()
    ))?;
    for id in members.ids() {
        members.start(id)?;
        let member = members.describe(id);
        story.line(format_args!("member {id} starts: {member}"))?;
    }
    let options = ClientOptions {
        timeout: PATIENCE,
        // A member that was killed does not keep anybody waiting for long.
        attempt_timeout: Duration::from_millis(500),
    };
    Ok(Client::new(members.endpoints(), options)?)
}

/// Runs a transaction until it is one; members that are still connecting have others time out.
async fn run(client: &Client, shares: &[Share], mode: Mode) -> Result<Ended, Failure> {
    loop {
        let id = client.new_id(Some(NodeId(COORDINATOR))).await?;
        match client.run(id, shares, mode).await? {
            Ended::Aborted { reason } if reason.contains("in time") => {}
            outcome => return Ok(outcome),
        }
    }
}

async fn deposits(story: &Story, client: &Client, members: &Members) -> Result<i64, Failure> {
    let shares = members.ids().into_iter().map(|id| Share {
        member: NodeId(id),
        operations: OWNERS.map(|owner| Operation::add(owner, DEPOSIT)).to_vec(),
    });
    let shares: Vec<Share> = shares.collect();
    if run(client, &shares, Mode::Blocking).await? != Ended::Committed {
        return Err(Failure::Cluster("the first deposit was aborted".to_owned()));
    }
    let sum = shares.len() as i64 * OWNERS.len() as i64 * DEPOSIT;
    story.line(format_args!(
        "{} people have an account of {DEPOSIT} at each of them: {sum} altogether",
        OWNERS.len()
    ))?;
    Ok(sum)
}

/// What `owner` gains at one member is lost at another one.
fn transfer(from: (u32, &'static str), to: (u32, &'static str), amount: i64) -> Vec<Share> {
    let share = |(member, owner): (u32, &'static str), amount| Share {
        member: NodeId(member),
        operations: vec![Operation::add(owner, amount)],
    };
    vec![share(from, -amount), share(to, amount)]
}

async fn one_transfer(story: &Story, client: &Client) -> Result<(), Failure> {
    let began = Instant::now();
    let outcome = run(
        client,
        &transfer((1, "anna"), (2, "berta"), 10),
        Mode::Blocking,
    )
    .await?;
    story.line(format_args!(
        "10 from 1/anna to 2/berta, coordinated by member {COORDINATOR}: {} after {}",
        told(&outcome),
        millis(began.elapsed())
    ))?;
    let outcome = run(
        client,
        &transfer((1, "anna"), (2, "berta"), 1_000),
        Mode::Blocking,
    )
    .await?;
    story.line(format_args!(
        "1000 from 1/anna to 2/berta: {}",
        told(&outcome)
    ))
}

fn told(outcome: &Ended) -> String {
    match outcome {
        Ended::Committed => "committed".to_owned(),
        Ended::Aborted { reason } => format!("aborted, {reason}"),
    }
}

/// People who send money to and fro, each as fast as they are answered.
struct Load {
    counters: Arc<Counters>,
    senders: JoinSet<()>,
}

#[derive(Default)]
struct Counters {
    stop: AtomicBool,
    committed: AtomicUsize,
    aborted: AtomicUsize,
}

impl Load {
    fn start(client: &Client, mode: Mode) -> Self {
        let counters = Arc::new(Counters::default());
        let mut senders = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (client, counters) = (client.clone(), counters.clone());
            senders.spawn(async move {
                while !counters.stop.load(Ordering::Relaxed) {
                    let shares = random_transfer();
                    let count = match run(&client, &shares, mode).await {
                        Ok(Ended::Committed) => &counters.committed,
                        // Somebody else was at the account, or it is empty.
                        Ok(Ended::Aborted { .. }) => &counters.aborted,
                        Err(_) => continue, // the coordinator is down
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Load { counters, senders }
    }

    /// Nobody begins anything more, and nobody waits for what was begun.
    fn abandon(mut self) -> (usize, usize) {
        self.counters.stop.store(true, Ordering::Relaxed);
        self.senders.abort_all();
        let Counters {
            committed, aborted, ..
        } = &*self.counters;
        (
            committed.load(Ordering::Relaxed),
            aborted.load(Ordering::Relaxed),
        )
    }
}

/// From one of the members that stay to the other one.
fn random_transfer() -> Vec<Share> {
    let mut random = rand::rng();
    let owner = || {
        OWNERS
            .choose(&mut rand::rng())
            .copied()
            .unwrap_or(OWNERS[0])
    };
    let (from, to) = (owner(), owner());
    match random.random() {
        true => transfer((1, from), (2, to), random.random_range(1..=20)),
        false => transfer((2, from), (1, to), random.random_range(1..=20)),
    }
}

/// Transactions that a member has prepared and knows no outcome of.
type Doubts = BTreeMap<String, Vec<String>>;

/// What the members that answer are in doubt about, by member.
async fn doubts(client: &Client) -> BTreeMap<u32, Doubts> {
    let answers = client.status().await.into_iter();
    let statuses = answers.filter_map(|(_, answer)| answer.ok());
    let doubts = statuses.map(|status| {
        let doubts = status.in_doubt.into_iter().filter_map(|doubt| {
            let keys = doubt
                .keys
                .iter()
                .map(|key| String::from_utf8_lossy(key).into_owned());
            Some((TransactionId::from(doubt.id?).to_string(), keys.collect()))
        });
        (status.id, doubts.collect())
    });
    doubts.collect()
}

/// What both of the members that stay are in doubt about: an id, and what it has locked where.
fn shared(doubts: &BTreeMap<u32, Doubts>) -> Option<(TransactionId, String)> {
    let (one, other) = (doubts.get(&1)?, doubts.get(&2)?);
    let (id, keys) = one.iter().find(|(id, _)| other.contains_key(*id))?;
    let locked = format!("1/{} and 2/{}", keys.join(", "), other.get(id)?.join(", "));
    Some((id.parse().ok()?, locked))
}

/// Kills the coordinator when two members have voted and wait for it.
async fn kill_in_the_middle(
    story: &Story,
    members: &mut Members,
    client: &Client,
    mode: Mode,
) -> Result<TransactionId, Failure> {
    for _ in 0..KILLS {
        let load = Load::start(client, mode);
        sleep(A_WHILE).await;
        members.kill(COORDINATOR)?;
        // What the coordinator had sent has arrived.
        sleep(Duration::from_millis(100)).await;
        let found = shared(&doubts(client).await);
        let (committed, aborted) = load.abandon();
        if let Some((id, locked)) = found {
            story.line(format_args!(
                "{AT_ONCE} people send money to and fro, all through member {COORDINATOR}: {committed} transfers committed, \
                 {aborted} found an account in use or empty"
            ))?;
            story.line(format_args!(
                "kill -9 of member {COORDINATOR}: members 1 and 2 have voted yes on {id}, have locked {locked}, and were \
                 told nothing"
            ))?;
            return Ok(id);
        }
        // It had just told everybody.
        members.start(COORDINATOR)?;
    }
    Err(Failure::Cluster(format!(
        "member {COORDINATOR} was killed {KILLS} times, and nobody was waiting for it"
    )))
}

/// Nobody else can decide.
async fn blocked(
    story: &Story,
    members: &Members,
    client: &Client,
    victim: TransactionId,
) -> Result<(), Failure> {
    sleep(Duration::from_secs(4)).await;
    let doubts = doubts(client).await;
    let is_blocked = [1, 2].iter().all(|id| {
        let of_member = doubts.get(id);
        of_member.is_some_and(|doubts| doubts.contains_key(&victim.to_string()))
    });
    if !is_blocked {
        return Err(Failure::Cluster(format!(
            "{victim} was decided although its coordinator is down and nobody else could know"
        )));
    }
    let standing = client.standing(victim).await?;
    story.line(format_args!(
        "4 s later: members {} have asked each other; {victim} is {}, for member {COORDINATOR} may have committed it or not",
        members.running(),
        word(&standing)
    ))?;
    let Some((owner, member)) = locked_account(&doubts, victim) else {
        return Ok(());
    };
    let shares = transfer((member, owner), (3 - member, "anna"), 1);
    let id = client.new_id(Some(NodeId(1))).await?;
    let outcome = client.run(id, &shares, Mode::Blocking).await?;
    story.line(format_args!(
        "somebody else wants 1 from {member}/{owner}, through member 1: {}",
        told(&outcome)
    ))
}

/// An account that `victim` has locked.
fn locked_account(
    doubts: &BTreeMap<u32, Doubts>,
    victim: TransactionId,
) -> Option<(&'static str, u32)> {
    let victim = victim.to_string();
    doubts.iter().find_map(|(member, doubts)| {
        let keys = doubts.get(&victim)?;
        let owner = OWNERS
            .iter()
            .find(|owner| keys.iter().any(|key| key == *owner))?;
        Some((*owner, *member))
    })
}

fn word(standing: &Standing) -> &'static str {
    match standing {
        Standing::Ended(Ended::Committed) => "committed",
        Standing::Ended(Ended::Aborted { .. }) => "aborted",
        Standing::Open => "open",
        Standing::NotKnown => "aborted: there is no record of a commit",
        Standing::Forgotten => "forgotten",
    }
}

/// Waits until none of `members` is in doubt about anything; how long it took.
async fn resolved(client: &Client, members: &[u32]) -> Result<Duration, Failure> {
    let began = Instant::now();
    loop {
        let doubts = doubts(client).await;
        if members
            .iter()
            .all(|id| doubts.get(id).is_some_and(BTreeMap::is_empty))
        {
            return Ok(began.elapsed());
        }
        if began.elapsed() > PATIENCE {
            return Err(Failure::Cluster(format!(
                "members are still in doubt after {PATIENCE:?}"
            )));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// The coordinator returns, and with it the decision.
async fn comeback(
    story: &Story,
    members: &mut Members,
    client: &Client,
    victim: Option<TransactionId>,
) -> Result<(), Failure> {
    members.start(COORDINATOR)?;
    let took = resolved(client, &members.ids()).await?;
    let what = match victim {
        Some(victim) => {
            let standing = client.standing(victim).await?;
            format!(
                "{victim} is {}, everything else is decided, nothing is locked",
                word(&standing)
            )
        }
        None => "nothing is in doubt, nothing is locked".to_owned(),
    };
    story.line(format_args!(
        "member {COORDINATOR} starts again on the disk it left: after {} {what}",
        millis(took)
    ))
}

/// The others decide by themselves.
async fn decided_without(
    story: &Story,
    members: &Members,
    client: &Client,
    victim: TransactionId,
) -> Result<(), Failure> {
    let took = resolved(client, &[1, 2]).await?;
    let standing = client.standing(victim).await?;
    story.line(format_args!(
        "{} later, with member {COORDINATOR} still down: members {} have lost patience, and a majority has decided: {victim} is {}",
        millis(took),
        members.running(),
        word(&standing)
    ))?;
    let id = client.new_id(Some(NodeId(1))).await?;
    let outcome = client
        .run(
            id,
            &transfer((1, "klara"), (2, "leo"), 1),
            Mode::NonBlocking,
        )
        .await?;
    story.line(format_args!(
        "life goes on: 1 from 1/klara to 2/leo, through member 1: {}",
        told(&outcome)
    ))
}

/// Every account is read, at every member that runs; one that is down has what it had, for nobody sends it anything.
async fn sum_is(
    story: &Story,
    members: &Members,
    client: &Client,
    expected: i64,
) -> Result<bool, Failure> {
    let (running, down): (Vec<u32>, Vec<u32>) =
        members.ids().into_iter().partition(|id| members.runs(*id));
    // Callers are told before the stores are.
    resolved(client, &running).await?;
    let mut sum = 0;
    for id in running {
        for (_, value) in client.list(NodeId(id)).await? {
            let value = String::from_utf8_lossy(&value);
            sum += value.parse::<i64>().unwrap_or(0);
        }
    }
    // Nothing is sent to or from the coordinator's own accounts.
    let untouched = down.len() as i64 * OWNERS.len() as i64 * DEPOSIT;
    let (total, missing) = (sum + untouched, expected - sum - untouched);
    story.line(match (missing, down.len()) {
        (0, 0) => format!("all accounts, read one by one: {total} altogether, as before"),
        (0, _) => format!(
            "all accounts of members 1 and 2, read one by one: {sum}, and {untouched} in those of member {COORDINATOR}, \
             which nobody touches: {total} altogether, as before"
        ),
        (missing, _) => format!("all accounts, read one by one: {total} altogether, {missing} are MISSING"),
    })?;
    Ok(missing == 0)
}
