//! `quorate demo`: three members, a leader killed in the middle of its work, and nothing lost.
//!
//! Nothing here is simulated. The members are processes of this very binary on free ports of the loopback
//! interface, with their disks in a temporary directory; the leader is ended with SIGKILL; what is shown is
//! measured, and what is claimed is read back.

mod load;
mod members;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use quorate_kv::{Client, ClientOptions};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use self::load::{Load, missing};
use self::members::{Leader, Members};
use super::replay::Recording;
use crate::outcome::{Failure, Outcome};

/// Options of `quorate demo`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct DemoArgs {
    /// Leave the members running and their directory in place, and print how to talk to them.
    #[arg(long)]
    keep: bool,
}

const HELP: &str = "\
Takes some ten seconds. Everything is on this machine: three processes on free loopback ports, and a
temporary directory; both are gone when the command ends, however it ends. Exit status 1 means that
something that was acknowledged was lost, which should never happen.";

/// How long writes go on before and after something happens.
const A_WHILE: Duration = Duration::from_secs(1);

/// How long the members may take to do what they must.
const PATIENCE: Duration = Duration::from_secs(60);

impl DemoArgs {
    /// Tells the story; whatever happens, no process and no directory is left unless it was asked for.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(Failure::local("starting the demo's runtime"))?;
        runtime.block_on(async {
            let interrupted = interrupted().map_err(Failure::local("listening to signals"))?;
            tokio::select! {
                // Dropped, the story takes its members with it.
                told = tell(self.keep) => told,
                () = interrupted => {
                    eprintln!("quorate: interrupted; the members are stopped, their directory is removed");
                    Ok(Outcome::Interrupted)
                }
            }
        })
    }
}

/// Ready when the process is asked to end.
fn interrupted() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// Prints one line an event, with the time since the beginning.
struct Story(Instant);

impl Story {
    fn line(&self, event: impl Display) -> Result<(), Failure> {
        let elapsed = self.0.elapsed().as_secs_f64();
        let mut out = io::stdout().lock();
        writeln!(out, "{elapsed:6.2} s  {event}")
            .and_then(|()| out.flush())
            .map_err(Failure::local("writing to standard output"))
    }
}

async fn tell(keep: bool) -> Result<Outcome, Failure> {
    let story = Story(Instant::now());
    let mut members = Members::create()?;
    let told = acts(&story, &mut members).await;
    let outcome = told.map_err(|failure| members.explain(failure))?;
    if keep {
        story.line("the members go on running")?;
        let talk = members.keep();
        writeln!(io::stdout(), "\n{talk}").map_err(Failure::local("writing to standard output"))?;
    } else {
        let dir = members.dir().display().to_string();
        drop(members);
        story.line(format_args!("the members are stopped, {dir} is removed"))?;
    }
    Ok(outcome)
}

async fn acts(story: &Story, members: &mut Members) -> Result<Outcome, Failure> {
    let first = founding(story, members).await?;
    let client = client(members)?;
    greeting(story, &client).await?;

    let mut load = Load::start(&client);
    let second = takeover(story, members, &load, &first).await?;
    let kept = readback(story, &client, &mut load).await?;

    let mut load = Load::start(&client);
    comeback(story, members, &load, &first, &second).await?;
    load.stop().await;
    let same = replays(story, members)?;
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

/// What ran was what is model-checked; whether it was.
fn replays(story: &Story, members: &Members) -> Result<bool, Failure> {
    let mut same = true;
    let mut steps = BTreeMap::new();
    for id in members.ids() {
        let verdict = Recording::of(&members.config(id))?.replay()?;
        match &verdict.replayed {
            Ok(report) => {
                steps.insert(id, report.steps);
            }
            Err(_) => {
                same = false;
                story.line(&verdict)?;
            }
        }
    }
    if same {
        story.line(format_args!(
            "the recorded lives of all members, {} steps, run through the machine that `quorate check` \
             explores: every effect is the same",
            steps.values().sum::<u64>()
        ))?;
    }
    Ok(same)
}

fn millis(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds => format!("{:.1} ms", seconds * 1e3),
    }
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
