//! A chat over causal broadcast: an answer never before its question, also where a member was killed in the middle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quorate::NodeId;
use quorate_feed::{Client, ClientOptions, Follow, FollowError, From, Message};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::members::Members;
use super::{A_WHILE, PATIENCE, Story, millis, replays};
use crate::commands::node::FEED;
use crate::outcome::{Failure, Outcome};

/// What to try with the members that are left running.
pub(super) const TALK: &str = "\
quorate broadcast status
quorate broadcast follow --history --clocks --count 5
quorate broadcast join --as dora    # and in another terminal: join --as emil";

/// Who sits at which member; the second one's will be killed.
const NAMES: [&str; 3] = ["anna", "berta", "carla"];
const KILLED: u32 = 2;

/// What is said at each member when everything else is said: no number, which somebody may have said before.
const LAST_WORD: &str = "good night";

/// The pause of a chatter after each message.
const BREATH: Duration = Duration::from_millis(2);

pub(super) async fn acts(story: &Story, members: &mut Members) -> Result<Outcome, Failure> {
    founding(story, members)?;
    conversation(story, members).await?;
    let chatters = chat(story, members).await?;
    let (told, said) = settle(members, chatters).await?;
    let right = judge(story, &told, said)?;
    let replayed = replays(story, members, FEED)?;
    Ok(match right && replayed {
        true => Outcome::Holds,
        false => Outcome::Refuted,
    })
}

/// A client that sits at member `id` and nowhere else.
fn client(members: &Members, id: u32) -> Result<Client, Failure> {
    let options = ClientOptions {
        timeout: PATIENCE,
        attempt_timeout: Duration::from_millis(500),
    };
    let endpoint = members.endpoints().into_iter().nth(id as usize - 1);
    Ok(Client::new(endpoint, options)?)
}

fn failure(error: FollowError) -> Failure {
    match error {
        FollowError::Missed(missed) => Failure::Cluster(missed.to_string()),
        FollowError::Client(error) => error.into(),
    }
}

fn founding(story: &Story, members: &mut Members) -> Result<(), Failure> {
    story.line(format_args!(
        "a chat on three members, on this machine: {}",
        members.dir().display()
    ))?;
    for (id, name) in members.ids().into_iter().zip(NAMES) {
        members.start(id)?;
        let member = members.describe(id);
        story.line(format_args!("member {id} starts, for {name}: {member}"))?;
    }
    story.line(
        "nobody leads and no majority is needed: each member tells the others what is said at it",
    )
}

/// Three messages, each said after the last one was read at another member.
async fn conversation(story: &Story, members: &Members) -> Result<(), Failure> {
    let said = [
        "who has seen my cat?",
        "it sits on the roof",
        "it has come down",
    ];
    for (id, (name, words)) in members.ids().into_iter().zip(NAMES.into_iter().zip(said)) {
        let client = client(members, id)?;
        // Whoever speaks has read everything before.
        let mut read = client.follow(From::Kept).await?;
        for _ in 1..id {
            read.next().await.map_err(failure)?;
        }
        let began = Instant::now();
        client.publish(name, [words]).await?;
        let took = millis(began.elapsed());
        story.line(format_args!(
            "{name}, at member {id}: {words:?} (on disk after {took})"
        ))?;
    }
    for id in members.ids() {
        let mut read = client(members, id)?.follow(From::Kept).await?;
        for (name, words) in NAMES.into_iter().zip(said) {
            let message = read.next().await.map_err(failure)?;
            if (message.author.as_str(), &message.body[..]) != (name, words.as_bytes()) {
                return Err(Failure::Cluster(format!(
                    "member {id} tells {:?} where {words:?} belongs",
                    String::from_utf8_lossy(&message.body)
                )));
            }
        }
    }
    story.line("all three members tell them in this order: each answers the one before")
}

/// One who reads at a member and answers what was read last, again and again.
struct Chatter {
    read: Arc<Mutex<Vec<Message>>>,
    stop: Arc<AtomicBool>,
    reading: JoinHandle<Failure>,
    /// How many messages were said.
    speaking: JoinHandle<Result<u64, Failure>>,
}

fn lock(read: &Mutex<Vec<Message>>) -> MutexGuard<'_, Vec<Message>> {
    read.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Chatter {
    async fn start(members: &Members, id: u32, name: &'static str) -> Result<Self, Failure> {
        let client = client(members, id)?;
        let follow = client.follow(From::Kept).await?;
        let read = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        Ok(Chatter {
            reading: tokio::spawn(reading(follow, read.clone())),
            speaking: tokio::spawn(speaking(client, name, read.clone(), stop.clone())),
            read,
            stop,
        })
    }

    fn count(&self) -> usize {
        lock(&self.read).len()
    }
}

impl Drop for Chatter {
    fn drop(&mut self) {
        self.reading.abort();
        self.speaking.abort();
    }
}

async fn reading(mut follow: Follow, read: Arc<Mutex<Vec<Message>>>) -> Failure {
    loop {
        match follow.next().await {
            Ok(message) => lock(&read).push(message),
            Err(error) => return failure(error),
        }
    }
}

/// Each message says how many its author had read by then: an order that members must keep, and that no clock of
/// theirs tells.
async fn speaking(
    client: Client,
    name: &'static str,
    read: Arc<Mutex<Vec<Message>>>,
    stop: Arc<AtomicBool>,
) -> Result<u64, Failure> {
    let mut said = 0;
    while !stop.load(Ordering::Relaxed) {
        let seen = lock(&read).len();
        client.publish(name, [format!("{seen}")]).await?;
        said += 1;
        sleep(BREATH).await;
    }
    Ok(said)
}

/// Everybody answers what they read, and a member is killed in the middle of it.
async fn chat(story: &Story, members: &mut Members) -> Result<Vec<Chatter>, Failure> {
    let mut chatters = Vec::new();
    for (id, name) in members.ids().into_iter().zip(NAMES) {
        chatters.push(Chatter::start(members, id, name).await?);
    }
    story.line("now all three talk at once, each answering what was read last")?;
    sleep(A_WHILE).await;
    members.kill(KILLED)?;
    let killed = KILLED as usize - 1;
    let (before, others) = (chatters[killed].count(), chatters[0].count());
    story.line(format_args!(
        "kill -9 of member {KILLED}, when berta has read {before} messages; anna and carla go on"
    ))?;
    sleep(A_WHILE).await;
    let meanwhile = chatters[0].count().saturating_sub(others);
    members.start(KILLED)?;
    let began = Instant::now();
    story.line(format_args!(
        "{meanwhile} messages later member {KILLED} starts again on the disk it left"
    ))?;
    let target = chatters[0].count();
    while chatters[killed].count() < target {
        running(&mut chatters)?;
        if began.elapsed() > PATIENCE {
            return Err(Failure::Cluster("berta does not catch up".into()));
        }
        sleep(BREATH).await;
    }
    story.line(format_args!(
        "berta has read what she missed, after {}; whatever she was saying is said now",
        millis(began.elapsed())
    ))?;
    sleep(A_WHILE).await;
    Ok(chatters)
}

/// Whoever has ended early tells why.
fn running(chatters: &mut [Chatter]) -> Result<(), Failure> {
    match chatters
        .iter()
        .position(|chatter| chatter.reading.is_finished())
    {
        None => Ok(()),
        Some(at) => Err(Failure::Cluster(format!(
            "{} cannot read any more",
            NAMES[at]
        ))),
    }
}

/// What everybody has read once all is said, and how many messages were said.
async fn settle(
    members: &Members,
    mut chatters: Vec<Chatter>,
) -> Result<(Vec<Vec<Message>>, u64), Failure> {
    for chatter in &chatters {
        chatter.stop.store(true, Ordering::Relaxed);
    }
    let mut said = 3; // in the conversation
    for chatter in &mut chatters {
        let ended = (&mut chatter.speaking).await;
        said += ended.map_err(|error| Failure::Fault(error.to_string()))??;
    }
    // A last word at each member: whatever was said there twice has been read before it.
    for id in members.ids() {
        client(members, id)?.publish("", [LAST_WORD]).await?;
    }
    said += members.ids().len() as u64;
    let began = Instant::now();
    let done = |chatter: &Chatter| {
        let read = lock(&chatter.read);
        let last = read.iter().filter(|message| message.body == LAST_WORD);
        last.count() == NAMES.len()
    };
    while !chatters.iter().all(done) {
        running(&mut chatters)?;
        if began.elapsed() > PATIENCE {
            return Err(Failure::Cluster("somebody does not get everything".into()));
        }
        sleep(BREATH).await;
    }
    let told = chatters.iter().map(|chatter| lock(&chatter.read).clone());
    Ok((told.collect(), said))
}

/// Holds what everybody has read against what everybody had read before they spoke; whether all is right.
fn judge(story: &Story, told: &[Vec<Message>], said: u64) -> Result<bool, Failure> {
    let sets = told.iter().map(|told| {
        let said = told
            .iter()
            .map(|message| (message.sender, message.sequence, &message.body));
        said.collect::<BTreeSet<_>>()
    });
    let sets: Vec<_> = sets.collect();
    let same = |set| Some(set) == sets.first();
    if !sets.iter().all(same) || told.iter().any(|told| told.len() as u64 != said) {
        story.line("they have not read the same messages, or some twice: this is WRONG")?;
        return Ok(false);
    }
    story.line(format_args!(
        "{said} messages were said, and all three have read {said}: none is missing, none came twice"
    ))?;
    let mut answers = 0;
    for reader in told {
        let mut read: BTreeMap<NodeId, u64> = BTreeMap::new();
        for message in reader {
            let expected = read.get(&message.sender).copied().unwrap_or_default() + 1;
            let seen = causes(told, message);
            let early = seen
                .iter()
                .any(|(sender, count)| read.get(sender) < Some(count));
            if early || message.sequence != expected {
                story.line(format_args!(
                    "message {} of member {} came before what it answers: this is WRONG",
                    message.sequence, message.sender.0
                ))?;
                return Ok(false);
            }
            answers += 1;
            read.insert(message.sender, message.sequence);
        }
    }
    let orders: BTreeSet<Vec<(NodeId, u64)>> = told
        .iter()
        .map(|told| {
            told.iter()
                .map(|message| (message.sender, message.sequence))
                .collect()
        })
        .collect();
    story.line(format_args!(
        "{answers} deliveries, each after all that its author had read before; the numbers of every member have no \
         gap; {} what does not depend on each other",
        match orders.len() {
            1 => "by chance all members tell in the same order even",
            _ => "members differ in the order of",
        }
    ))?;
    Ok(true)
}

/// What the author of a message had read: of each member so many messages. For a conversation that says no number,
/// nothing is asked.
fn causes(told: &[Vec<Message>], message: &Message) -> BTreeMap<NodeId, u64> {
    let seen = std::str::from_utf8(&message.body)
        .ok()
        .and_then(|text| text.parse().ok());
    let author = told.get((message.sender.0 as usize).saturating_sub(1));
    let mut causes = BTreeMap::new();
    for earlier in author.into_iter().flatten().take(seen.unwrap_or(0)) {
        causes.insert(earlier.sender, earlier.sequence);
    }
    causes
}
