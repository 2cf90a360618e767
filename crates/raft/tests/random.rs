//! Random schedules, random lies, and the log against a naive one.

#[allow(dead_code, reason = "the scripts use more of it")]
mod cluster;

use cluster::{Cluster, Op, Register, Result, render};
use proptest::prelude::*;
use quorate_machine::{Effects, Event, Machine, NodeId};
use quorate_raft::{
    Command, Config, Durable, Entry, Index, Log, Message, Payload, Position, Raft, SessionId, Term,
    Timer, invariants,
};
use std::collections::BTreeSet;

/// What a schedule does. Numbers pick among what there is at the moment; what does not apply is
/// skipped.
#[derive(Clone, Debug)]
enum Action {
    Fire(usize, Timer),
    Deliver { link: usize, nth: usize, keep: bool },
    Lose { link: usize, nth: usize },
    Sync(usize, usize),
    Crash(usize, usize),
    Recover(usize),
    Partition(u8),
    Heal,
    Run,
    Ask(usize, Command<Register>),
}

fn timer() -> impl Strategy<Value = Timer> {
    prop_oneof![
        6 => Just(Timer::Election),
        4 => Just(Timer::Heartbeat),
        1 => Just(Timer::Quorum),
        8 => Just(Timer::Replicate),
    ]
}

fn command() -> impl Strategy<Value = Command<Register>> {
    let write = (1..6u64, 1..4u64, 1..9u64);
    prop_oneof![
        1 => (0..9u64).prop_map(|nonce| Command::Open { nonce }),
        4 => write.prop_map(|(session, sequence, value)| Command::Write {
            session: SessionId(session),
            sequence,
            command: Op::Add(value),
        }),
        2 => any::<u64>().prop_map(|id| Command::Read { id, query: () }),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let pick = any::<usize>;
    // Mostly in order, sometimes not.
    let nth = || prop_oneof![5 => Just(0), 1 => 0..9usize];
    let deliver = (pick(), nth(), prop::bool::weighted(0.1));
    prop_oneof![
        12 => (pick(), timer()).prop_map(|(node, timer)| Action::Fire(node, timer)),
        40 => deliver.prop_map(|(link, nth, keep)| Action::Deliver { link, nth, keep }),
        3 => (pick(), nth()).prop_map(|(link, nth)| Action::Lose { link, nth }),
        25 => (pick(), 1..4usize).prop_map(|(node, steps)| Action::Sync(node, steps)),
        2 => (pick(), 0..3usize).prop_map(|(node, survive)| Action::Crash(node, survive)),
        4 => pick().prop_map(Action::Recover),
        1 => any::<u8>().prop_map(Action::Partition),
        2 => Just(Action::Heal),
        1 => Just(Action::Run),
        10 => (pick(), command()).prop_map(|(node, command)| Action::Ask(node, command)),
    ]
}

fn perform(cluster: &mut Cluster, action: Action) -> Result {
    let ids: Vec<NodeId> = cluster.nodes().keys().copied().collect();
    let node = |pick: usize| ids[pick % ids.len()];
    let is_up = |cluster: &Cluster, id: NodeId| cluster.raft(id).is_ok();
    let wires = cluster.wires().iter().filter(|(_, wire)| !wire.is_empty());
    let wires: Vec<_> = wires.map(|(link, wire)| (*link, wire.len())).collect();
    let wire = |pick: usize| wires.get(pick.checked_rem(wires.len())?).copied();
    match action {
        Action::Fire(pick, timer) => cluster.fire(node(pick), timer).map(drop),
        Action::Deliver { link, nth, keep } => wire(link).map_or(Ok(()), |(link, length)| {
            cluster.deliver(link, nth % length, keep)
        }),
        Action::Lose { link, nth } => {
            wire(link).map_or(Ok(()), |(link, length)| cluster.lose(link, nth % length))
        }
        Action::Sync(pick, steps) => cluster.sync(node(pick), steps),
        Action::Crash(pick, survive) => cluster.crash(node(pick), survive),
        Action::Recover(pick) if is_up(cluster, node(pick)) => Ok(()),
        Action::Recover(pick) => cluster.recover(node(pick)),
        Action::Partition(mask) => {
            let (left, right): (BTreeSet<NodeId>, BTreeSet<NodeId>) =
                ids.iter().partition(|id| mask >> id.0 & 1 == 1);
            cluster.partition(vec![left, right]);
            Ok(())
        }
        Action::Heal => {
            cluster.partition(Vec::new());
            Ok(())
        }
        Action::Run => cluster.run(true).map(drop),
        Action::Ask(pick, command) if is_up(cluster, node(pick)) => {
            cluster.command(node(pick), command)
        }
        Action::Ask(..) => Ok(()),
    }
}

/// Ends all faults. Some node must then win an election, and everybody reach the same log.
fn converge(cluster: &mut Cluster) -> Result {
    cluster.partition(Vec::new());
    let ids: Vec<NodeId> = cluster.nodes().keys().copied().collect();
    for id in &ids {
        if cluster.raft(*id).is_err() {
            cluster.recover(*id)?;
        }
    }
    for candidate in ids.iter().cycle().take(4 * ids.len()) {
        for _ in 0..2 {
            cluster.run(true)?;
            for id in &ids {
                cluster.fire(*id, Timer::Replicate)?;
                cluster.fire(*id, Timer::Heartbeat)?;
            }
        }
        cluster.run(true)?;
        if agree(cluster)? {
            return Ok(());
        }
        // Nobody hears a leader for a while, and one stands.
        for id in &ids {
            if cluster.raft(*id)?.leader().is_some() {
                cluster.fire(*id, Timer::Election)?;
            }
        }
        cluster.fire(*candidate, Timer::Election)?;
    }
    let logs = ids
        .iter()
        .map(|id| cluster.raft(*id).map(|raft| raft.log().entries()));
    let logs: Vec<_> = logs.map(|log| log.map(render::terms)).collect();
    Err(format!("the group does not come to one log: {logs:?}"))
}

/// Whether all nodes follow one leader and have committed one log.
fn agree(cluster: &Cluster) -> Result<bool> {
    let mut views = BTreeSet::new();
    for id in cluster.nodes().keys() {
        let raft = cluster.raft(*id)?;
        let last = raft.log().last();
        if raft.leader().is_none() || raft.commit() != last.index || raft.commit() == Index(0) {
            return Ok(false);
        }
        views.insert((raft.term(), raft.leader(), last));
    }
    Ok(views.len() == 1)
}

fn message() -> impl Strategy<Value = Message<Op>> {
    // Small numbers meet the state at hand, the largest meet the arithmetic.
    let number = || prop_oneof![8 => 0..5u64, 1 => Just(u64::MAX), 1 => Just(u64::MAX - 1)];
    let term = move || number().prop_map(Term);
    let index = move || number().prop_map(Index);
    let position = move || (term(), index()).prop_map(|(term, index)| Position { term, index });
    let entry = term().prop_map(|term| Entry {
        term,
        payload: Payload::Noop,
    });
    let entries = prop::collection::vec(entry, 0..4);
    let append = (term(), position(), entries, index(), number());
    let conflict = (term(), index(), position(), number());
    prop_oneof![
        (term(), position()).prop_map(|(term, last)| Message::RequestPreVote { term, last }),
        (term(), any::<bool>()).prop_map(|(term, granted)| Message::PreVoted { term, granted }),
        (term(), position()).prop_map(|(term, last)| Message::RequestVote { term, last }),
        (term(), any::<bool>()).prop_map(|(term, granted)| Message::Voted { term, granted }),
        append.prop_map(|(term, prev, entries, commit, round)| Message::Append {
            term,
            prev,
            entries,
            commit,
            round,
        }),
        (term(), index(), number()).prop_map(|(term, matched, round)| Message::Appended {
            term,
            matched,
            round,
        }),
        conflict.prop_map(|(term, refused, hint, round)| Message::Conflicted {
            term,
            refused,
            hint,
            round,
        }),
    ]
}

fn event() -> impl Strategy<Value = Event<Raft<Register>>> {
    let receive = (1..6u32, message());
    prop_oneof![
        8 => receive.prop_map(|(from, message)| Event::Receive { from: NodeId(from), message }),
        3 => timer().prop_map(Event::Timeout),
        1 => command().prop_map(Event::Command),
    ]
}

/// A log that is only what its description says.
fn naive_last_at_most(terms: &[u64], index: u64, term: u64) -> u64 {
    let within = (1..=index).zip(terms).filter(|(_, of)| **of <= term);
    within.last().map_or(0, |(index, _)| index)
}

fn entry(term: u64) -> Entry<Op> {
    Entry {
        term: Term(term),
        payload: Payload::Noop,
    }
}

fn terms() -> impl Strategy<Value = Vec<u64>> {
    let terms = prop::collection::vec(1..6u64, 0..12);
    terms.prop_map(|mut terms| {
        terms.sort_unstable();
        terms
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever is lost, late, doubled, cut off or killed, every property holds after every step, and
    /// afterwards the group comes to one log.
    #[test]
    fn schedules(
        size in 3..=5u32,
        pre_vote: bool,
        check_quorum: bool,
        limit in 1..4usize,
        actions in prop::collection::vec(action(), 1..400),
    ) {
        let cluster = Cluster::new(size, |config| {
            config.pre_vote = pre_vote;
            config.check_quorum = check_quorum;
            config.batch_entries = limit;
            config.window_entries = 2 * limit;
            config.max_waiting = 4;
            config.max_sessions = 2;
        });
        let mut cluster = cluster.map_err(TestCaseError::fail)?;
        let mut performed = || {
            actions.iter().try_for_each(|action| perform(&mut cluster, action.clone()))?;
            converge(&mut cluster)
        };
        if let Err(violated) = performed() {
            let journal = cluster.take_journal().join("\n");
            return Err(TestCaseError::fail(format!("{violated}\n{journal}")));
        }
    }

    /// No message, timer or command panics a node or breaks what must hold of it by itself.
    #[test]
    fn lies(
        members in 1..5u32,
        pre_vote: bool,
        events in prop::collection::vec(event(), 1..60),
    ) {
        let members = (1..=members).map(NodeId);
        let mut config = Config::new(NodeId(1), members, Register::default());
        config.pre_vote = pre_vote;
        config.batch_entries = 2;
        config.window_entries = 3;
        config.max_waiting = 2;
        let mut fx = Effects::new();
        let mut raft = Raft::start(&config, &Durable::default(), &mut fx);
        for event in events {
            let before = raft.clone();
            raft.step(&config, event, &mut fx);
            prop_assert_eq!(invariants::node(&raft), Ok(()));
            prop_assert_eq!(invariants::step(&before, &raft), Ok(()));
        }
    }

    #[test]
    fn the_log_is_what_a_naive_one_is(
        ours in terms(),
        theirs in terms(),
        after in 0..14u64,
        term in 0..7u64,
    ) {
        let mut log = Log::default();
        log.splice(Index(0), ours.iter().copied().map(entry));
        let found = log.last_at_most(Index(after), Term(term)).index.0;
        prop_assert_eq!(found, naive_last_at_most(&ours, after, term));

        let rest: Vec<u64> = ours.iter().skip(after as usize).copied().collect();
        let offered: Vec<Entry<Op>> = theirs.iter().copied().map(entry).collect();
        let same = (0..rest.len().min(theirs.len())).find(|at| rest[*at] != theirs[*at]);
        let same = same.unwrap_or(rest.len().min(theirs.len()));
        prop_assert_eq!(log.matching(log.position(Index(after)), &offered), same);

        let kept = ours.iter().take(after as usize).chain(&theirs);
        let expected: Vec<Entry<Op>> = kept.copied().map(entry).collect();
        log.splice(Index(after), offered);
        prop_assert!(log.entries().eq(&expected));
        prop_assert_eq!(log.last().index.0, expected.len() as u64);
        for (index, entry) in (1..).zip(&expected) {
            prop_assert_eq!(log.get(Index(index)), Some(entry));
        }
        prop_assert_eq!(log.term_at(Index(expected.len() as u64 + 1)), None);
    }
}
