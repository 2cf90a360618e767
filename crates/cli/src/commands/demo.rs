//! `quorate demo`: three members, something that goes wrong, and what comes of it.
//!
//! Nothing here is simulated. The members are processes of this very binary on free ports of the loopback
//! interface, with their disks in a temporary directory; who is killed is ended with SIGKILL; what is shown is
//! measured, and what is claimed is read back.

mod broadcast;
mod kv;
mod load;
mod members;
mod paxos;
mod txn;

use std::fmt::Display;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use quorate::GroupId;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use self::members::Members;
use super::replay::Recording;
use crate::outcome::{Failure, Outcome};

/// Options of `quorate demo`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct DemoArgs {
    /// What the members do.
    #[arg(value_enum, default_value = "kv")]
    protocol: Protocol,

    /// Leave the members running and their directory in place, and print how to talk to them.
    #[arg(long)]
    keep: bool,
}

/// The stories that can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// A key-value store on Raft: its leader is killed, and nothing is lost.
    Kv,
    /// A chat over causal broadcast: a member is killed, and no answer comes before its question.
    Broadcast,
    /// Write-once registers decided by Paxos: two want the same ones, a member is killed, and there is one answer.
    Paxos,
    /// Money that moves between stores: the coordinator is killed in the middle of it, and not a coin is lost.
    Txn,
}

impl Protocol {
    /// What to try with members that are left running.
    fn talk(self) -> &'static str {
        match self {
            Protocol::Kv => kv::TALK,
            Protocol::Broadcast => broadcast::TALK,
            Protocol::Paxos => paxos::TALK,
            Protocol::Txn => txn::TALK,
        }
    }
}

const HELP: &str = "\
Takes some ten seconds. Everything is on this machine: three processes on free loopback ports, and a
temporary directory; both are gone when the command ends, however it ends. Exit status 1 means that
a promise was broken, such as that nothing acknowledged is lost, which should never happen.";

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
                told = tell(self.protocol, self.keep) => told,
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

async fn tell(protocol: Protocol, keep: bool) -> Result<Outcome, Failure> {
    let story = Story(Instant::now());
    let mut members = Members::create()?;
    let told = match protocol {
        Protocol::Kv => kv::acts(&story, &mut members).await,
        Protocol::Broadcast => broadcast::acts(&story, &mut members).await,
        Protocol::Paxos => paxos::acts(&story, &mut members).await,
        Protocol::Txn => txn::acts(&story, &mut members).await,
    };
    let outcome = told.map_err(|failure| members.explain(failure))?;
    if keep {
        story.line("the members go on running")?;
        let talk = members.keep(protocol.talk());
        writeln!(io::stdout(), "\n{talk}").map_err(Failure::local("writing to standard output"))?;
    } else {
        let dir = members.dir().display().to_string();
        drop(members);
        story.line(format_args!("the members are stopped, {dir} is removed"))?;
    }
    Ok(outcome)
}

/// What ran was what is model-checked; whether it was.
fn replays(story: &Story, members: &Members, group: GroupId) -> Result<bool, Failure> {
    let mut steps = 0;
    for id in members.ids() {
        for verdict in Recording::of(&members.config(id))?.replay()? {
            match &verdict.replayed {
                Ok(report) if verdict.group == group => steps += report.steps,
                Ok(_) => {}
                Err(_) => {
                    story.line(&verdict)?;
                    return Ok(false);
                }
            }
        }
    }
    story.line(format_args!(
        "the recorded lives of all members, {steps} steps, run through the machine that `quorate check` \
         explores: every effect is the same"
    ))?;
    Ok(true)
}

fn millis(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds => format!("{:.1} ms", seconds * 1e3),
    }
}
