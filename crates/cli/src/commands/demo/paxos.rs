//! Write-once registers decided by Paxos: two who want the same ones, a member killed in the middle of it, and one
//! answer, whoever is asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_register::{Client, ClientOptions, Held};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::members::Members;
use super::{A_WHILE, PATIENCE, Story, millis, replays};
use crate::commands::node::REGISTERS;
use crate::outcome::{Failure, Outcome};

/// What to try with the members that are left running.
pub(super) const TALK: &str = "\
quorate paxos status
quorate paxos read race/1
quorate paxos propose race/1 carla
quorate paxos propose winner carla";

/// Registers that are fought for at the same time.
const AT_ONCE: usize = 32;

/// Where anna asks, and where berta does. Berta's will be killed.
const ANNAS: u32 = 1;
const BERTAS: u32 = 2;

/// What each register was found to hold.
type Registers = BTreeMap<usize, Bytes>;

pub(super) async fn acts(story: &Story, members: &mut Members) -> Result<Outcome, Failure> {
    founding(story, members)?;
    let (anna, berta) = (client(members, ANNAS)?, client(members, BERTAS)?);
    first(story, &anna, &berta).await?;
    let Some(held) = race(story, members, anna, berta).await? else {
        return Ok(Outcome::Refuted);
    };
    let same = everybody_says(story, members, &held).await?;
    for id in members.ids() {
        members.kill(id)?;
    }
    for id in members.ids() {
        members.start(id)?;
    }
    story.line("kill -9 of all three members, and a start of each on the disk that it left")?;
    let still = everybody_says(story, members, &held).await?;
    let replayed = replays(story, members, REGISTERS)?;
    Ok(match same && still && replayed {
        true => Outcome::Holds,
        false => Outcome::Refuted,
    })
}

fn name(register: usize) -> String {
    format!("race/{register}")
}

fn text(value: &Bytes) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// A client that asks member `first` as long as that answers, and then the others.
fn client(members: &Members, first: u32) -> Result<Client, Failure> {
    let mut endpoints = members.endpoints();
    let first = (first as usize - 1) % endpoints.len();
    endpoints.rotate_left(first);
    let options = ClientOptions {
        timeout: PATIENCE,
        // A member that was killed does not keep anybody waiting for long.
        attempt_timeout: Duration::from_millis(500),
    };
    Ok(Client::new(endpoints, options)?)
}

fn founding(story: &Story, members: &mut Members) -> Result<(), Failure> {
    story.line(format_args!(
        "write-once registers on three members, on this machine: {}",
        members.dir().display()
    ))?;
    for id in members.ids() {
        members.start(id)?;
        let member = members.describe(id);
        story.line(format_args!("member {id} starts: {member}"))?;
    }
    story.line("nobody leads: any member decides, together with one other")
}

/// One register, one after the other.
async fn first(story: &Story, anna: &Client, berta: &Client) -> Result<(), Failure> {
    let register = name(1);
    // The members may still be starting; that is not to be measured.
    anna.read(&register).await?;
    let began = Instant::now();
    let annas = anna.propose(&register, "anna").await?;
    let took = millis(began.elapsed());
    let bertas = berta.propose(&register, "berta").await?;
    story.line(format_args!(
        "anna proposes her name for register {register}, at member {ANNAS}: after {took} it holds {}, for ever",
        told(annas, "anna")
    ))?;
    story.line(format_args!(
        "berta proposes hers for {register}, at member {BERTAS}: too late, it holds {}",
        told(bertas, "berta")
    ))
}

fn told(held: Held, own: &str) -> String {
    match held {
        Held::Proposed => own.to_owned(),
        Held::Other(other) => text(&other),
    }
}

/// What anna and berta were told of the registers that both proposed for at the same time.
#[derive(Default)]
struct Race {
    told: BTreeMap<usize, [Bytes; 2]>,
}

/// The race while it goes on.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// The last register that was begun with.
    last: AtomicUsize,
    decided: AtomicUsize,
}

impl Shared {
    fn decided(&self) -> usize {
        self.decided.load(Ordering::Relaxed)
    }
}

/// Both propose for the same registers, a member is killed, and returns. What the registers hold; nothing if anna
/// was told something else than berta.
async fn race(
    story: &Story,
    members: &mut Members,
    anna: Client,
    berta: Client,
) -> Result<Option<Registers>, Failure> {
    let shared = Arc::new(Shared::default());
    let mut runners = JoinSet::new();
    for _ in 0..AT_ONCE {
        runners.spawn(run(anna.clone(), berta.clone(), shared.clone()));
    }
    story.line(format_args!(
        "now both propose for the next registers at the same time, {AT_ONCE} registers at once"
    ))?;
    sleep(A_WHILE).await;
    members.kill(BERTAS)?;
    let before = shared.decided();
    story.line(format_args!(
        "kill -9 of member {BERTAS}, with {before} registers decided; berta goes on at another one"
    ))?;
    sleep(A_WHILE).await;
    let meanwhile = shared.decided() - before;
    members.start(BERTAS)?;
    story.line(format_args!(
        "{meanwhile} more are decided by two members of three; member {BERTAS} starts again on the disk it left"
    ))?;
    sleep(A_WHILE).await;

    shared.stop.store(true, Ordering::Relaxed);
    let mut race = Race::default();
    while let Some(run) = runners.join_next().await {
        let run = run.map_err(|error| Failure::Fault(error.to_string()))?;
        race.told.append(&mut run?.told);
    }
    race.result(story)
}

/// Lets both propose for one register after the other, together.
async fn run(anna: Client, berta: Client, shared: Arc<Shared>) -> Result<Race, Failure> {
    let mut race = Race::default();
    while !shared.stop.load(Ordering::Relaxed) {
        // Register 1 is held already.
        let register = shared.last.fetch_add(1, Ordering::Relaxed) + 2;
        let key = name(register);
        let (annas, bertas) =
            tokio::join!(anna.propose(&key, "anna"), berta.propose(&key, "berta"));
        let told = [told(annas?, "anna"), told(bertas?, "berta")].map(Bytes::from);
        race.told.insert(register, told);
        shared.decided.fetch_add(1, Ordering::Relaxed);
    }
    Ok(race)
}

impl Race {
    /// Who has how many, if both were told the same of each.
    fn result(self, story: &Story) -> Result<Option<Registers>, Failure> {
        let mut held = Registers::new();
        for (register, [annas, bertas]) in self.told {
            if annas != bertas {
                story.line(format_args!(
                    "of {} anna was told that it holds {}, and berta {}: this is WRONG",
                    name(register),
                    text(&annas),
                    text(&bertas)
                ))?;
                return Ok(None);
            }
            held.insert(register, annas);
        }
        let of_anna = held.values().filter(|value| *value == "anna").count();
        story.line(format_args!(
            "of {} registers anna has {of_anna} and berta {}; of every one both were told the same",
            held.len(),
            held.len() - of_anna
        ))?;
        Ok(Some(held))
    }
}

/// Every member is asked for every register, without help from the others' addresses; whether all say the same.
async fn everybody_says(
    story: &Story,
    members: &Members,
    held: &Registers,
) -> Result<bool, Failure> {
    let began = Instant::now();
    for (id, endpoint) in members.ids().into_iter().zip(members.endpoints()) {
        let options = ClientOptions {
            timeout: PATIENCE,
            ..ClientOptions::default()
        };
        let client = Client::new([endpoint], options)?;
        for (register, value) in read(&client, held.keys().copied().collect()).await? {
            if held.get(&register) != value.as_ref() {
                let said = value.map_or("nothing".to_owned(), |value| text(&value));
                story.line(format_args!(
                    "member {id} says that {} holds {said}: this is WRONG",
                    name(register)
                ))?;
                return Ok(false);
            }
        }
    }
    story.line(format_args!(
        "asked one by one, all three members say the same of all {} registers, after {}",
        held.len(),
        millis(began.elapsed())
    ))?;
    Ok(true)
}

/// What the member of `client` says of `registers`.
async fn read(
    client: &Client,
    registers: Vec<usize>,
) -> Result<Vec<(usize, Option<Bytes>)>, Failure> {
    let mut readers = JoinSet::new();
    for part in registers.chunks(registers.len().div_ceil(AT_ONCE).max(1)) {
        let (client, part) = (client.clone(), part.to_vec());
        readers.spawn(async move {
            let mut found = Vec::with_capacity(part.len());
            for register in part {
                found.push((register, client.read(name(register)).await?));
            }
            Ok::<_, Failure>(found)
        });
    }
    let mut found = Vec::with_capacity(registers.len());
    while let Some(read) = readers.join_next().await {
        found.append(&mut read.map_err(|error| Failure::Fault(error.to_string()))??);
    }
    Ok(found)
}
