//! `quorate txn`: transactions over the stores of several members.
//!
//! A key is named with the member that has it: `1/alice` is the key `alice` of member 1. Keys and values are text on
//! the command line.

mod parse;
mod path;
mod print;

use clap::{Args, Subcommand};
use quorate::NodeId;
use quorate_transactions::{
    Client, ClientError, ClientOptions, Mode, Operation, Share, TransactionId,
};

use self::parse::{Account, merge, parse_account, parse_share};
use self::path::PathArgs;
use self::print::Printer;
use super::client::{ClientArgs, runtime};
use crate::outcome::{Failure, Outcome};

/// Options of `quorate txn`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct TxnArgs {
    #[command(subcommand)]
    request: Request,

    #[command(flatten)]
    client: ClientArgs,
}

const HELP: &str = "\
A transaction takes effect at all of its members or at none. Its outcome is printed with its id; whoever runs it
again with that --id is told of the same transaction, which never takes effect twice.

The exit status is 0 when a transaction has committed, 1 when it is aborted or a key does not exist, and 3 when the
outcome could not be learnt: ask for it with `quorate txn status ID`.

Examples:
  quorate txn deposit 1/alice 100
  quorate txn transfer --from 1/alice --to 2/bob 10
  quorate txn run \"1: expect state open; put state closed\" \"2: add closed 1\" --coordinator 3
  quorate txn transfer --from 1/alice --to 2/bob 10 --non-blocking
  quorate txn get 1/alice
  quorate txn status
  quorate txn path demo-directory
  quorate txn status 1-1.57-9f86d081884c7d65";

#[derive(Debug, Subcommand)]
enum Request {
    /// Move an amount from one number to another one; refused if the first would go below zero.
    Transfer {
        /// Where it is taken from, as MEMBER/KEY.
        #[arg(long, value_name = "MEMBER/KEY", value_parser = parse_account)]
        from: Account,
        /// Where it goes to.
        #[arg(long, value_name = "MEMBER/KEY", value_parser = parse_account)]
        to: Account,
        /// How much.
        #[arg(value_parser = clap::value_parser!(i64).range(1..))]
        amount: i64,
        #[command(flatten)]
        how: How,
    },
    /// Add an amount to a number.
    Deposit {
        /// Where it goes to, as MEMBER/KEY.
        #[arg(value_name = "MEMBER/KEY", value_parser = parse_account)]
        to: Account,
        /// How much.
        #[arg(value_parser = clap::value_parser!(i64).range(1..))]
        amount: i64,
        #[command(flatten)]
        how: How,
    },
    /// Run operations at several members, all or none of them.
    #[command(after_help = RUN_HELP)]
    Run {
        /// A member and what it is to do, as \"MEMBER: OPERATION; OPERATION; …\".
        #[arg(required = true, value_name = "SHARE", value_parser = parse_share)]
        shares: Vec<Share>,
        #[command(flatten)]
        how: How,
    },
    /// Print what a key holds: what was committed last.
    Get {
        /// The key, as MEMBER/KEY.
        #[arg(value_name = "MEMBER/KEY", value_parser = parse_account)]
        account: Account,
    },
    /// Print all keys of a member, in order.
    List {
        /// The member.
        member: u32,
    },
    /// Print what every member says of itself and what it waits for; or what has become of a transaction.
    Status {
        /// The transaction.
        id: Option<TransactionId>,
    },
    /// Tell what recorded transactions waited for, message by message and sync by sync. Asks no member.
    Path(PathArgs),
    /// Print an id for a transaction, to be used with --id.
    Id {
        /// Who is to coordinate it.
        #[arg(long, value_name = "MEMBER")]
        coordinator: Option<u32>,
    },
}

const RUN_HELP: &str = "\
Operations, in their order; keys are words, a value goes up to the next semicolon:
  add KEY NUMBER      add to a number; one that is missing is 0, and a sum below 0 is refused
  put KEY VALUE       set a key
  delete KEY          remove a key, if it is there
  expect KEY VALUE    refuse unless the key holds the value
  absent KEY          refuse unless the key is missing

Examples:
  quorate txn run \"1: add alice -10\" \"2: add bob 10\"
  quorate txn run \"1: absent lock; put lock mine\" \"3: put owner me\" --coordinator 2 --non-blocking";

/// How to run a transaction.
#[derive(Debug, Args)]
struct How {
    /// Who coordinates it; by default the first member that takes part.
    #[arg(long, value_name = "MEMBER", conflicts_with = "id")]
    coordinator: Option<u32>,

    /// Have a majority of the members decide, so that nobody waits for a coordinator that is down. Takes longer.
    #[arg(long)]
    non_blocking: bool,

    /// The id of an earlier attempt, or one from `quorate txn id`.
    #[arg(long)]
    id: Option<TransactionId>,
}

impl How {
    fn mode(&self) -> Mode {
        match self.non_blocking {
            true => Mode::NonBlocking,
            false => Mode::Blocking,
        }
    }

    async fn run(
        self,
        client: &Client,
        printer: Printer,
        shares: Vec<Share>,
    ) -> Result<Outcome, Failure> {
        let shares = merge(shares);
        let first = shares.first().map(|share| share.member);
        let coordinator = self.coordinator.map(NodeId).or(first);
        let id = match self.id {
            Some(id) => id,
            None => client.new_id(coordinator).await?,
        };
        match client.run(id, &shares, self.mode()).await {
            Ok(outcome) => printer.ended(id, &outcome),
            Err(error @ ClientError::Unknown { .. }) => printer.unknown(id, &error),
            Err(error) => Err(error.into()),
        }
    }
}

impl TxnArgs {
    /// Makes the request.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let TxnArgs { request, client } = self;
        runtime()?.block_on(async {
            let options = ClientOptions {
                timeout: client.timeout,
                ..ClientOptions::default()
            };
            let printer = Printer { json: client.json };
            request
                .make(&Client::new(client.endpoints, options)?, printer)
                .await
        })
    }
}

impl Request {
    async fn make(self, client: &Client, printer: Printer) -> Result<Outcome, Failure> {
        match self {
            Request::Transfer {
                from,
                to,
                amount,
                how,
            } => {
                let shares = vec![from.add(-amount), to.add(amount)];
                how.run(client, printer, shares).await
            }
            Request::Deposit { to, amount, how } => {
                how.run(client, printer, vec![to.add(amount)]).await
            }
            Request::Run { shares, how } => how.run(client, printer, shares).await,
            Request::Get { account } => {
                let read = client.get(account.member, account.key).await?;
                printer.read(&read)
            }
            Request::List { member } => printer.list(&client.list(NodeId(member)).await?),
            Request::Status { id: None } => printer.statuses(&client.status().await),
            Request::Status { id: Some(id) } => printer.standing(id, &client.standing(id).await?),
            Request::Path(path) => path.run(printer.json),
            Request::Id { coordinator } => {
                printer.id(client.new_id(coordinator.map(NodeId)).await?)
            }
        }
    }
}

impl Account {
    /// What its member is to do to add an amount.
    fn add(self, amount: i64) -> Share {
        Share {
            member: self.member,
            operations: vec![Operation::add(self.key, amount)],
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use quorate_transactions::Action;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        txn: TxnArgs,
    }

    fn parse(words: &[&str]) -> Result<Request, String> {
        let line = ["txn"].iter().chain(words);
        let line = Line::try_parse_from(line).map_err(|error| error.to_string())?;
        Ok(line.txn.request)
    }

    #[test]
    fn a_transfer_takes_and_gives_the_same() {
        let words = ["transfer", "--from", "1/alice", "--to", "2/bob", "10"];
        let Ok(Request::Transfer {
            from, to, amount, ..
        }) = parse(&words)
        else {
            panic!("it is a transfer");
        };
        let [taken, given] = [from.add(-amount), to.add(amount)];
        assert_eq!((taken.member, given.member), (NodeId(1), NodeId(2)));
        assert_eq!(taken.operations[0].action, Action::Add(-10));
        assert_eq!(given.operations[0].action, Action::Add(10));
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_anybody_is_asked() {
        for words in [
            &["transfer", "--from", "alice", "--to", "2/bob", "10"][..],
            &["transfer", "--from", "1/alice", "--to", "2/bob", "0"],
            &["deposit", "1/", "10"],
            &["run"],
            &["run", "add alice 10"],
            &["status", "no-id"],
            &[
                "deposit",
                "1/a",
                "1",
                "--id",
                "1-1.1-1",
                "--coordinator",
                "2",
            ],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
