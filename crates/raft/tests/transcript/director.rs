//! Carries out the commands of a script.

use super::parse;
use crate::cluster::{Cluster, Link, Node, Op, Register, Result, render};
use quorate_machine::NodeId;
use quorate_raft::{Command, Config, Durable, Flow, Index, Log, Role, Term, Timer};
use std::collections::BTreeSet;

/// Carries out commands:
///
/// ```text
/// nodes 3 pre-vote check-quorum batch-entries=2   start a group; what is named is switched on
/// disk n1 term=6 vote=n2 log=1,1,4                give a node a past and start it from it
/// election n1 | timeout n1 heartbeat              fire a timer
/// elect n1                                        have n1 lead, with all that takes, untold
/// open n1 9 | write n1 s5#1 put=7 | read n1 3     a client asks; with `more`, the turn goes on
/// deliver n1->n2 2 | all                          deliver a message of a link (the first, if not said)
/// duplicate n1->n2 | drop n1->n2                  deliver it and keep it, or lose it
/// deliver all | run | run quiet                   to quiescence: wires only; disks too; only what is said
/// exchange n1 n2                                  the same between two nodes
/// sync n1 first | crash n1 keeping 1 | recover n1
/// partition n1 | n2 n3, heal
/// inject n2->n1 append term=5 prev=1@1            a message that need not have been sent
/// status | wires                                  show the nodes, or what is in flight
/// expect n1 leader term=2 commit=3 value=7        fail if it is not so
/// expect n1 said read 3: 7 | expect n1 never said read 3
/// ```
#[derive(Default)]
pub(crate) struct Director {
    cluster: Option<Cluster>,
    /// Everything that happened so far.
    past: Vec<String>,
}

impl Director {
    /// Carries out one command; returns what happened.
    pub(crate) fn direct(&mut self, command: &str) -> Result<Vec<String>> {
        let words: Vec<&str> = command.split_whitespace().collect();
        if let ["nodes", size, options @ ..] = words.as_slice() {
            self.cluster = Some(start(size, options)?);
            return Ok(Vec::new());
        }
        let Some(cluster) = &mut self.cluster else {
            return Err("a script starts with `nodes`".into());
        };
        if let ["expect", node, rest @ ..] = words.as_slice() {
            return expect(cluster, &self.past, node, rest).map(|()| Vec::new());
        }
        let shown = carry_out(cluster, &words);
        let happened = cluster.take_journal();
        self.past.extend(happened.iter().cloned());
        let shown = shown.map_err(|error| format!("{error}\nafter {happened:#?}"))?;
        Ok(shown.unwrap_or(happened))
    }
}

/// `None` stands for the journal.
type Shown = Option<Vec<String>>;

fn start(size: &str, options: &[&str]) -> Result<Cluster> {
    let size = parse::number(size)?;
    let size = u32::try_from(size).map_err(|error| error.to_string())?;
    let limits: Vec<&str> = options
        .iter()
        .copied()
        .filter(|o| o.contains('='))
        .collect();
    let mut limits = parse::fields(&limits)?;
    let mut limit = |key: &str, default: usize| match limits.remove(key) {
        Some(word) => parse::number(word).map(|limit| limit as usize),
        None => Ok(default),
    };
    let batch_entries = limit("batch-entries", 100)?;
    let batch_bytes = limit("batch-bytes", 1000)?;
    let window_entries = limit("window-entries", 100)?;
    let max_waiting = limit("max-waiting", 100)?;
    let max_waiting_bytes = limit("max-waiting-bytes", 10_000)?;
    let max_sessions = limit("max-sessions", 100)? as u32;
    let known = ["pre-vote", "check-quorum"];
    let unknown = options
        .iter()
        .find(|o| !o.contains('=') && !known.contains(*o));
    if let Some(unknown) = unknown.copied().or(limits.keys().next().copied()) {
        return Err(format!("{unknown} is no option"));
    }
    Cluster::new(size, |config: &mut Config<Register>| {
        config.pre_vote = options.contains(&"pre-vote");
        config.check_quorum = options.contains(&"check-quorum");
        config.batch_entries = batch_entries;
        config.batch_bytes = batch_bytes;
        config.window_entries = window_entries;
        config.max_waiting = max_waiting;
        config.max_waiting_bytes = max_waiting_bytes;
        config.max_sessions = max_sessions;
    })
}

fn carry_out(cluster: &mut Cluster, words: &[&str]) -> Result<Shown> {
    match words {
        ["disk", node, fields @ ..] => disk(cluster, parse::node(node)?, fields)?,
        ["election", node] => fire(cluster, node, Timer::Election)?,
        ["timeout", node, timer] => fire(cluster, node, parse::timer(timer)?)?,
        ["elect", node] => return elect(cluster, parse::node(node)?).map(Some),
        ["open", node, nonce, rest @ ..] => {
            let nonce = parse::number(nonce)?;
            ask(cluster, node, Command::Open { nonce }, rest)?;
        }
        ["write", node, request, op, rest @ ..] => {
            let (session, sequence) = parse::request(request)?;
            let command = parse::op(op)?;
            let command = Command::Write {
                session,
                sequence,
                command,
            };
            ask(cluster, node, command, rest)?;
        }
        ["read", node, id, rest @ ..] => {
            let id = parse::number(id)?;
            ask(cluster, node, Command::Read { id, query: () }, rest)?;
        }
        ["deliver", "all"] => cluster.run(false).map(|_| ())?,
        ["run"] => cluster.run(true).map(|_| ())?,
        ["run", "quiet"] => return run_quietly(cluster).map(Some),
        ["exchange", a, b] => return exchange(cluster, parse::node(a)?, parse::node(b)?),
        ["deliver", link, which @ ..] => each(cluster, link, which, |cluster, link, nth| {
            cluster.deliver(link, nth, false)
        })?,
        ["duplicate", link, which @ ..] => each(cluster, link, which, |cluster, link, nth| {
            cluster.deliver(link, nth, true)
        })?,
        ["drop", link, which @ ..] => each(cluster, link, which, Cluster::lose)?,
        ["sync", node] => {
            let id = parse::node(node)?;
            let due = cluster.nodes().get(&id).map_or(0, Node::unsynced);
            cluster.sync(id, due)?;
        }
        ["sync", node, "first"] => cluster.sync(parse::node(node)?, 1)?,
        ["crash", node] => cluster.crash(parse::node(node)?, 0)?,
        ["crash", node, "keeping", writes] => {
            cluster.crash(parse::node(node)?, parse::number(writes)? as usize)?;
        }
        ["recover", node] => cluster.recover(parse::node(node)?)?,
        ["partition", sides @ ..] => partition(cluster, sides)?,
        ["heal"] => cluster.partition(Vec::new()),
        ["inject", link, message @ ..] => {
            cluster.receive(parse::link(link)?, parse::message(message)?)?;
        }
        ["status"] => return Ok(Some(status(cluster))),
        ["wires"] => return Ok(Some(wires(cluster))),
        _ => return Err("no such command".into()),
    }
    Ok(None)
}

fn disk(cluster: &mut Cluster, id: NodeId, fields: &[&str]) -> Result {
    let fields = parse::fields(fields)?;
    let mut log = Log::default();
    if let Some(terms) = fields.get("log") {
        log.splice(Index(0), parse::entries(terms)?);
    }
    let vote = fields.get("vote").map(|vote| parse::node(vote));
    let last = log.last().term.0;
    let term = fields
        .get("term")
        .map_or(Ok(last), |term| parse::number(term));
    let durable = Durable {
        term: Term(term?),
        vote: vote.transpose()?,
        log,
    };
    cluster.restart_from(id, durable)
}

fn fire(cluster: &mut Cluster, node: &str, timer: Timer) -> Result {
    if cluster.fire(parse::node(node)?, timer)? {
        return Ok(());
    }
    Err(format!("{node} has not armed {timer:?}"))
}

fn ask(cluster: &mut Cluster, node: &str, command: Command<Register>, rest: &[&str]) -> Result {
    let id = parse::node(node)?;
    cluster.command(id, command)?;
    match rest {
        // A timer of zero ticks fires when the events at hand are through.
        [] => cluster.fire(id, Timer::Replicate).map(drop),
        ["more"] => Ok(()),
        _ => Err(format!("{rest:?} means nothing here")),
    }
}

fn elect(cluster: &mut Cluster, id: NodeId) -> Result<Vec<String>> {
    // Those who hear a leader would not vote.
    let others: Vec<NodeId> = cluster
        .nodes()
        .keys()
        .copied()
        .filter(|n| *n != id)
        .collect();
    for other in others {
        if cluster
            .raft(other)
            .is_ok_and(|raft| raft.leader().is_some())
        {
            cluster.fire(other, Timer::Election)?;
        }
    }
    for _ in 0..2 {
        if !cluster.raft(id)?.is_leader() {
            cluster.fire(id, Timer::Election)?;
            cluster.run(true)?;
        }
    }
    let raft = cluster.raft(id)?;
    if !raft.is_leader() {
        return Err(format!("{id} was not elected"));
    }
    Ok(vec![format!(
        "{id} leads {}, commit {}",
        raft.term(),
        raft.commit()
    )])
}

fn run_quietly(cluster: &mut Cluster) -> Result<Vec<String>> {
    let ran = cluster.run(true)?;
    let said = cluster
        .journal()
        .iter()
        .filter(|line| line.contains(" says ") && !line.contains(" holds "));
    let sum = format!(
        "quiet after {} rounds, {} messages",
        ran.rounds, ran.messages
    );
    Ok(said.cloned().chain([sum]).collect())
}

fn exchange(cluster: &mut Cluster, a: NodeId, b: NodeId) -> Result<Shown> {
    let mut messages = 0;
    loop {
        cluster.sync(a, usize::MAX)?;
        cluster.sync(b, usize::MAX)?;
        let due = [(a, b), (b, a)].into_iter().find(|link| {
            let wire = cluster.wires().get(link);
            wire.is_some_and(|wire| !wire.is_empty())
        });
        let Some(link) = due else { break };
        cluster.deliver(link, 0, false)?;
        messages += 1;
    }
    let mut shown = cluster.journal().to_vec();
    shown.push(format!("quiet after {messages} messages"));
    Ok(Some(shown))
}

fn each(
    cluster: &mut Cluster,
    link: &str,
    which: &[&str],
    action: impl Fn(&mut Cluster, Link, usize) -> Result,
) -> Result {
    let link = parse::link(link)?;
    match which {
        [] => action(cluster, link, 0),
        ["all"] => {
            let due = cluster.wires().get(&link).map_or(0, |wire| wire.len());
            (0..due).try_for_each(|_| action(cluster, link, 0))
        }
        [nth] => match parse::number(nth)? {
            0 => Err("messages count from 1".into()),
            nth => action(cluster, link, nth as usize - 1),
        },
        _ => Err(format!("{which:?} means nothing here")),
    }
}

fn partition(cluster: &mut Cluster, words: &[&str]) -> Result {
    let sides = words.split(|word| *word == "|");
    let sides: Result<Vec<BTreeSet<NodeId>>> = sides
        .map(|side| side.iter().map(|word| parse::node(word)).collect())
        .collect();
    cluster.partition(sides?);
    Ok(())
}

fn status(cluster: &Cluster) -> Vec<String> {
    let lines = cluster.nodes().iter().map(|(id, node)| {
        let Some(raft) = node.raft() else {
            return format!("{id} down");
        };
        let role = match raft.role() {
            Role::Leader(_) => "leader".into(),
            Role::Candidate(votes) => format!("candidate with {votes:?}"),
            Role::PreCandidate(votes) => format!("pre-candidate with {votes:?}"),
            Role::Follower => match raft.leader() {
                Some(leader) => format!("follower of {leader}"),
                None => "follower".into(),
            },
        };
        let (term, commit) = (raft.term(), raft.commit());
        let log = render::terms(raft.log().entries());
        let value = raft.replicated().state.0;
        let unsynced = match node.unsynced() {
            0 => String::new(),
            writes => format!(", {writes} writes not on disk"),
        };
        format!("{id} {role} in {term}, log {log}, commit {commit}, value {value}{unsynced}")
    });
    let mut lines: Vec<String> = lines.collect();
    for (id, node) in cluster.nodes() {
        let Some(Role::Leader(leader)) = node.raft().map(|raft| raft.role()) else {
            continue;
        };
        for (member, progress) in cluster.nodes().keys().zip(leader.progress()) {
            let flow = match progress.flow {
                Flow::Probe { .. } => "probed",
                Flow::Stream => "streamed to",
            };
            if member != id {
                let (matched, next) = (progress.matched, progress.next);
                lines.push(format!(
                    "{id} knows {member} to match {matched}, {flow} from {next}"
                ));
            }
        }
    }
    lines
}

fn wires(cluster: &Cluster) -> Vec<String> {
    let wires = cluster.wires().iter().flat_map(|((from, to), wire)| {
        let numbered = wire.iter().enumerate();
        numbered.map(move |(at, message)| format!("{from} -> {to} {}. {message:?}", at + 1))
    });
    let wires: Vec<String> = wires.collect();
    if wires.is_empty() {
        return vec!["nothing".into()];
    }
    wires
}

fn expect(cluster: &Cluster, past: &[String], node: &str, words: &[&str]) -> Result {
    let said = |rest: &[&str]| {
        let line = format!("{node} says {}", rest.join(" "));
        past.iter().any(|past| past.contains(&line))
    };
    match words {
        ["said", rest @ ..] if said(rest) => return Ok(()),
        ["said", ..] => return Err("it did not".into()),
        ["never", "said", rest @ ..] if !said(rest) => return Ok(()),
        ["never", "said", ..] => return Err("it did".into()),
        ["down"] => {
            return cluster
                .raft(parse::node(node)?)
                .err()
                .map(drop)
                .ok_or("it is up".into());
        }
        _ => {}
    }
    let id = parse::node(node)?;
    let raft = cluster.raft(id)?;
    for word in words {
        let (key, wanted) = word.split_once('=').unwrap_or(("role", word));
        let found = match key {
            "role" => match raft.role() {
                Role::Leader(_) => "leader".into(),
                Role::Candidate(_) => "candidate".into(),
                Role::PreCandidate(_) => "pre-candidate".into(),
                Role::Follower => "follower".into(),
            },
            "term" => raft.term().0.to_string(),
            "commit" => raft.commit().0.to_string(),
            "value" => raft.replicated().state.0.to_string(),
            "sessions" => raft.replicated().sessions().to_string(),
            "last" => last(raft.log()),
            "disk" => cluster
                .nodes()
                .get(&id)
                .map_or(String::new(), |n| last(&n.durable().log)),
            "vote" => raft.vote().map_or("none".into(), |vote| vote.to_string()),
            "leader" => raft
                .leader()
                .map_or("none".into(), |leader| leader.to_string()),
            _ => return Err(format!("{key} cannot be expected")),
        };
        let wanted = if wanted == "max" {
            u64::MAX.to_string()
        } else {
            wanted.into()
        };
        if found != wanted {
            return Err(format!("{key} is {found}"));
        }
    }
    Ok(())
}

fn last(log: &Log<Op>) -> String {
    let last = log.last();
    format!("{}@{}", last.index.0, last.term.0)
}
