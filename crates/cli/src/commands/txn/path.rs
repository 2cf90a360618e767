//! `quorate txn path`: what recorded transactions waited for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use quorate_conform::{Hop, Life, Path, TransactionPath, transactions};
use quorate_transactions::{Machine, TransactionId};

use crate::commands::client::print;
use crate::commands::conform::failure;
use crate::commands::node::TRANSACTIONS;
use crate::commands::replay::Recording;
use crate::outcome::{Failure, Outcome};

/// Options of `quorate txn path`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct PathArgs {
    /// A directory with the configurations of all members, which name their event logs.
    #[arg(value_name = "DIR")]
    recorded: PathBuf,

    /// Only this transaction.
    id: Option<TransactionId>,
}

const HELP: &str = "\
Members with `event_log` in their configuration record every step. From that follows, without any host's time, what
each transaction waited for: messages between members and syncs, one after the other, until its caller was told.
Waits are for syncs of records of other transactions: what a member says leaves in the order in which it writes.
Transactions are counted by the length of that chain; with an ID, or for the most frequent lengths, the chain is
shown. Timers are on it only if something was lost, or slow, or crashed.

Examples:
  quorate txn path demo-directory
  quorate txn path demo-directory 1-1.57-9f86d081884c7d65
  quorate txn path demo-directory --json";

impl PathArgs {
    /// Reads the logs and prints what was found.
    pub(super) fn run(self, json: bool) -> Result<Outcome, Failure> {
        let mut lives = Vec::new();
        for recording in Recording::all_in(&self.recorded)? {
            lives.push(Life::<Machine> {
                config: recording.member.transactions(),
                logs: recording.logs(TRANSACTIONS).to_vec(),
            });
        }
        let mut found = transactions(&lives).map_err(failure)?;
        if let Some(id) = self.id {
            found.retain(|one| one.request == id.request().0);
        }
        if json {
            for one in &found {
                let json = serde_json::to_string(one);
                print(&json.map_err(|error| Failure::Fault(error.to_string()))?)?;
            }
        } else if found.is_empty() {
            eprintln!("quorate: no such transaction is recorded");
        } else {
            print(table(&found).trim_end())?;
        }
        Ok(match found.is_empty() {
            true => Outcome::Refuted,
            false => Outcome::Holds,
        })
    }
}

/// What is told of a transaction in a line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    non_blocking: bool,
    committed: Option<bool>,
    told: Option<(usize, usize, usize)>,
    carried_out: Option<(usize, usize, usize)>,
    timers: bool,
}

impl Shape {
    fn of(one: &TransactionPath) -> Self {
        let lengths = |path: &Path| (path.messages(), path.syncs(), path.waits());
        let paths = [&one.told, &one.carried_out];
        Shape {
            non_blocking: one.non_blocking,
            committed: one.committed,
            told: one.told.as_ref().map(lengths),
            carried_out: one.carried_out.as_ref().map(lengths),
            timers: paths.into_iter().flatten().any(Path::has_timers),
        }
    }

    fn line(&self, count: usize) -> String {
        let outcome = match self.committed {
            Some(true) => "committed",
            Some(false) => "aborted",
            None => "not told",
        };
        let by = match self.non_blocking {
            true => "consensus",
            false => "coordinator",
        };
        let length = |path: Option<(usize, usize, usize)>| match path {
            Some((messages, syncs, waits)) => format!("{messages:>8}  {syncs:>5}  {waits:>5}"),
            None => format!("{:>8}  {:>5}  {:>5}", "–", "–", "–"),
        };
        let (told, carried_out) = (length(self.told), length(self.carried_out));
        let timers = if self.timers { "timers" } else { "" };
        let line =
            format!("{count:>12}  {outcome:<9}  {by:<11}  {told}   {carried_out}   {timers}");
        line.trim_end().to_owned()
    }
}

/// How many transactions there are of each shape, and the first of each.
fn table(found: &[TransactionPath]) -> String {
    let mut shapes: BTreeMap<Shape, (usize, &TransactionPath)> = BTreeMap::new();
    for one in found {
        shapes.entry(Shape::of(one)).or_insert((0, one)).0 += 1;
    }
    let mut shapes: Vec<_> = shapes.into_iter().collect();
    shapes.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let mut text = String::from(
        "                                      until the caller is told  until the last resource is told\n\
         transactions  outcome    decided by   messages  syncs  waits   messages  syncs  waits\n",
    );
    for (shape, (count, _)) in &shapes {
        text += &shape.line(*count);
        text.push('\n');
    }
    for (_, (_, one)) in shapes.iter().take(EXAMPLES) {
        text += &example(one);
    }
    text
}

/// Examples that are shown; the table has all lengths.
const EXAMPLES: usize = 3;

fn example(one: &TransactionPath) -> String {
    let mut text = format!(
        "\ntransaction {} (request {:016x}), {} messages in all\n",
        one.transaction, one.request, one.messages
    );
    let mut section = |title, path: &Option<Path>| {
        if let Some(path) = path {
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {title}");
            path.hops
                .iter()
                .for_each(|hop| text += &format!("    {}\n", words(hop)));
        }
    };
    section("until the caller is told", &one.told);
    section("until the last resource is told", &one.carried_out);
    text
}

fn words(hop: &Hop) -> String {
    match hop {
        Hop::Step { member, what } => format!("{member}      {what}"),
        Hop::Message { from, to, what } => format!("{from} → {to}  {what}"),
        Hop::Sync { member, own: true } => format!("{member}      ▓ sync"),
        Hop::Sync { member, own: false } => format!("{member}      ░ sync of what others write"),
        Hop::Timer { member, what } => format!("{member}      timer {what}"),
    }
}
