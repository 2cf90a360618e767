//! `quorate paxos`: a client of write-once registers, each decided by Paxos.
//!
//! Keys and values are bytes. On the command line they are text; a value of `-` is read from standard input,
//! byte for byte, and `read --raw` writes one so.

use bytes::Bytes;
use clap::{Args, Subcommand};
use quorate_register::proto::StatusResponse;
use quorate_register::{Client, ClientOptions, Held, VALUE_BYTES_MAX};
use serde_json::{Map, Value, json};

use super::client::{ClientArgs, insert, print, runtime, text, value_of, write};
use crate::outcome::{Failure, Outcome};

/// Options of `quorate paxos`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct PaxosArgs {
    #[command(subcommand)]
    request: Request,

    #[command(flatten)]
    client: ClientArgs,
}

const HELP: &str = "\
A register needs no creation. It holds nothing until a value is decided, and that value for ever after: there is
nothing to change or to delete. Any member answers; a majority of them must be up to decide.

The exit status is 1 when a register holds another value than the one proposed, or nothing, and 3 when nobody
with a majority could be asked. What was proposed then may still come to be held: propose it again to learn it.

Examples:
  quorate paxos propose leader-of-the-day anna
  quorate paxos read leader-of-the-day
  quorate paxos propose --json config/7 - < config.toml
  quorate paxos --endpoints 127.0.0.1:7202 read config/7 --raw";

#[derive(Debug, Subcommand)]
enum Request {
    /// Propose a value for a register, and print what the register holds.
    Propose {
        /// The register.
        key: String,
        /// The value; - reads standard input.
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Print what a register holds.
    Read {
        /// The register.
        key: String,
        /// Write the value as it is, without a line end.
        #[arg(long, conflicts_with = "json")]
        raw: bool,
    },
    /// Print what every member says of itself.
    Status,
}

impl PaxosArgs {
    /// Makes the request.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let PaxosArgs {
            request,
            client: args,
        } = self;
        runtime()?.block_on(async {
            let options = ClientOptions {
                timeout: args.timeout,
                ..ClientOptions::default()
            };
            let client = Client::new(args.endpoints, options)?;
            match request {
                Request::Propose { key, value } => {
                    let value = value_of(value, VALUE_BYTES_MAX)?;
                    let held = client.propose(key, &value).await?;
                    proposed(args.json, value, held)
                }
                Request::Read { key, raw } => match client.read(key).await? {
                    Some(value) if raw => write(&value).map(|()| Outcome::Holds),
                    held => read(args.json, held),
                },
                Request::Status => statuses(args.json, &client.status().await),
            }
        })
    }
}

/// What came of a proposal. That the register holds it is good news, that it holds another one is an answer.
fn proposed(json: bool, value: Bytes, held: Held) -> Result<Outcome, Failure> {
    let (accepted, held) = match held {
        Held::Proposed => (true, value),
        Held::Other(other) => (false, other),
    };
    let line = match (json, accepted) {
        (true, _) => {
            let mut object = Map::new();
            object.insert("yours".to_owned(), accepted.into());
            insert(&mut object, "value", &held);
            Value::Object(object).to_string()
        }
        (false, true) => format!("it holds what you proposed: {}", text(&held)),
        (false, false) => format!("it holds what somebody else proposed: {}", text(&held)),
    };
    print(&line)?;
    Ok(match accepted {
        true => Outcome::Holds,
        false => Outcome::Refuted,
    })
}

fn read(json: bool, held: Option<Bytes>) -> Result<Outcome, Failure> {
    match (json, &held) {
        (true, Some(value)) => {
            let mut object = Map::new();
            insert(&mut object, "value", value);
            print(&Value::Object(object).to_string())?;
        }
        (true, None) => print(&Value::Null.to_string())?,
        (false, Some(value)) => print(&text(value))?,
        (false, None) => eprintln!("quorate: nothing is decided yet"),
    }
    Ok(match held {
        Some(_) => Outcome::Holds,
        None => Outcome::Refuted,
    })
}

/// A cluster is reached if at least one member answers.
fn statuses(
    json: bool,
    statuses: &[(String, Result<StatusResponse, String>)],
) -> Result<Outcome, Failure> {
    for (endpoint, answer) in statuses {
        let line = match (json, answer) {
            (true, Ok(status)) => json!({
                "endpoint": endpoint,
                "id": status.id,
                "known": status.known,
                "waiting": status.waiting,
            })
            .to_string(),
            (true, Err(why)) => json!({ "endpoint": endpoint, "error": why }).to_string(),
            (false, Ok(status)) => format!(
                "{endpoint}  member {}  knows what {} registers hold  {} requests wait",
                status.id, status.known, status.waiting
            ),
            (false, Err(why)) => format!("{endpoint}  {why}"),
        };
        print(&line)?;
    }
    match statuses.iter().any(|(_, answer)| answer.is_ok()) {
        true => Ok(Outcome::Holds),
        false => Err(Failure::Cluster("no member answers".into())),
    }
}
