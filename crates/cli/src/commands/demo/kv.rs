//! A key-value store on Raft: the leader killed in the middle of its work, and nothing lost.

use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_kv::{Client, ClientOptions};
use tokio::time::sleep;

use super::load::{Load, missing};
use super::members::{Leader, Members};
use super::{A_WHILE, PATIENCE, Story, load, millis, replays};
use crate::commands::node::KV;
use crate::outcome::{Failure, Outcome};

/// What to try with the members that are left running.
pub(super) const TALK: &str = "\
quorate kv status
quorate kv get greeting
quorate kv range --prefix write/2/ --limit 5";

pub(super) async fn acts(story: &Story, members: &mut Members) -> Result<Outcome, Failure> {
    let first = founding(story, members).await?;
    let client = client(members)?;
    greeting(story, &client).await?;

    let mut load = Load::start(&client);
    let second = takeover(story, members, &load, &first).await?;
    let kept = readback(story, &client, &mut load).await?;

    let mut load = Load::start(&client);
    comeback(story, members, &load, &first, &second).await?;
    load.stop().await;
    let same = replays(story, members, KV)?;
    Ok(match kept && same {
        true => Outcome::Holds,
        false => Outcome::Refuted,
    })
}

fn client(members: &Members) -> Result<Client, Failure> {
    // A member that was killed does not keep anybody waiting for long.
    let options = ClientOptions {
        timeout: PATIENCE,
        attempt_timeout: Duration::from_millis(500),
        ..ClientOptions::default()
    };
    Ok(Client::new(members.endpoints(), options)?)
}

/// Three members start and choose a leader.
async fn founding(story: &Story, members: &mut Members) -> Result<Leader, Failure> {
    story.line(format_args!(
        "a key-value store of three members, on this machine: {}",
        members.dir().display()
    ))?;
    for id in members.ids() {
        members.start(id)?;
        let member = members.describe(id);
        story.line(format_args!("member {id} starts: {member}"))?;
    }
    let leader = members.leader_after(0, PATIENCE).await?;
    story.line(format_args!(
        "member {} is elected (term {}): it orders all writes, and has each on two disks before it answers",
        leader.id, leader.term
    ))?;
    Ok(leader)
}

/// A key is written and read.
async fn greeting(story: &Story, client: &Client) -> Result<(), Failure> {
    let (key, value) = ("greeting", "hello");
    let began = Instant::now();
    let written = client.put(key, value).await?;
    let took = millis(began.elapsed());
    story.line(format_args!(
        "put {key} {value}: acknowledged after {took} with revision {}",
        written.revision
    ))?;
    let began = Instant::now();
    let read = client.get(key).await?;
    let took = millis(began.elapsed());
    let read = read.map_or("nothing".into(), |item| text(&item.value));
    story.line(format_args!("get {key}: {read}, after {took}"))
}

/// The leader is killed while everybody writes.
async fn takeover(
    story: &Story,
    members: &mut Members,
    load: &Load,
    leader: &Leader,
) -> Result<Leader, Failure> {
    let writers = load.writers();
    story.line(format_args!(
        "{writers} clients write, each as fast as it is answered"
    ))?;
    sleep(A_WHILE).await;
    let before = load.acknowledged();
    members.kill(leader.id)?;
    let killed = Instant::now();
    story.line(format_args!(
        "kill -9 of member {}, the leader, after {before} acknowledged writes; the clients go on",
        leader.id
    ))?;
    let next = members.leader_after(leader.term, PATIENCE).await?;
    let elected = millis(killed.elapsed());
    load.resumed(killed, PATIENCE).await?;
    story.line(format_args!(
        "member {} has taken over after {elected} (term {}): members {} are a majority",
        next.id,
        next.term,
        members.running()
    ))?;
    story.line(format_args!(
        "writes are acknowledged again; for {} none was",
        millis(load.longest_silence(killed))
    ))?;
    sleep(A_WHILE).await;
    Ok(next)
}

/// Everything that was acknowledged is read back; whether it was there.
async fn readback(story: &Story, client: &Client, load: &mut Load) -> Result<bool, Failure> {
    let written = load.stop().await;
    let unknown = match written.unknown {
        0 => String::new(),
        count => format!(" ({count} more whose fate is unknown)"),
    };
    let found = load::read(client).await?;
    let lost = missing(&written.acknowledged, &found);
    let count = written.acknowledged.len();
    match lost.first() {
        None => story.line(format_args!(
            "all {count} acknowledged writes are there, read back one by one{unknown}"
        ))?,
        Some(key) => story.line(format_args!(
            "{} of {count} acknowledged writes are LOST, such as {}",
            lost.len(),
            text(key)
        ))?,
    }
    Ok(lost.is_empty())
}

/// The killed member returns and catches up while writes go on.
async fn comeback(
    story: &Story,
    members: &mut Members,
    load: &Load,
    killed: &Leader,
    leader: &Leader,
) -> Result<(), Failure> {
    story.line("the clients write on, with two members of three")?;
    sleep(A_WHILE).await;
    let target = members.applied(leader.id).await?;
    members.start(killed.id)?;
    let began = Instant::now();
    let member = members.describe(killed.id);
    story.line(format_args!(
        "member {} starts again on the disk it left: {member}",
        killed.id
    ))?;
    let before = load.acknowledged();
    members.caught_up(killed.id, target, PATIENCE).await?;
    story.line(format_args!(
        "member {} has caught up to entry {target} after {}; {} writes were acknowledged meanwhile",
        killed.id,
        millis(began.elapsed()),
        load.acknowledged() - before
    ))
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
