//! `quorate broadcast`: a feed in which every answer follows its question, for everybody.
//!
//! `join` is a chat for as many terminals as one likes; `send`, `follow` and `status` are for scripts.

mod print;

use std::io;
use std::time::Duration;

use clap::{Args, Subcommand};
use quorate_feed::{
    AUTHOR_BYTES_MAX, BODY_BYTES_MAX, Client, ClientOptions, Follow, FollowError, From,
};
use tokio::sync::mpsc;

use self::print::Printer;
use super::client::{ClientArgs, runtime, value_of};
use crate::outcome::{Failure, Outcome};

/// Lines that were typed and wait to be published.
const LINES_AHEAD: usize = 64;

/// Options of `quorate broadcast`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct BroadcastArgs {
    #[command(subcommand)]
    request: Request,

    #[command(flatten)]
    client: ClientArgs,
}

const HELP: &str = "\
Every member delivers every message, and whatever its sender had seen before comes first: no member shows an
answer before its question. Messages that have nothing to do with each other may come in another order at
another member. No majority is needed: a member that is cut off goes on, and catches up later.

Who the members are is fixed for the life of a group. One that stays down stops the others from publishing once
65536 of their messages wait for it; they say so. The latest 16384 messages (4 MiB) are kept for those who come late.

Messages are published at the first endpoint that answers, and read at whichever does.

Examples, the first three in a terminal each:
  quorate broadcast --endpoints 127.0.0.1:7201 join --as anna
  quorate broadcast --endpoints 127.0.0.1:7202 join --as berta --clocks
  quorate broadcast --endpoints 127.0.0.1:7203 join --as carla
  quorate broadcast send --as cron 'the backup is done'
  quorate broadcast follow --json --history
  quorate broadcast status";

#[derive(Debug, Subcommand)]
enum Request {
    /// Publish what is typed, line by line, and show what everybody says, until the end of input.
    Join {
        /// The name to speak under.
        #[arg(long = "as", value_name = "NAME", value_parser = parse_author)]
        author: String,
        #[command(flatten)]
        look: Look,
    },
    /// Publish messages, one after the other and all or none.
    Send {
        /// The name to speak under.
        #[arg(long = "as", value_name = "NAME", default_value = "", value_parser = parse_author)]
        author: String,
        /// The messages; - reads one from standard input.
        #[arg(required = true, allow_hyphen_values = true)]
        messages: Vec<String>,
    },
    /// Show what everybody says, until interrupted.
    Follow {
        #[command(flatten)]
        look: Look,
        /// End after so many messages.
        #[arg(long)]
        count: Option<u64>,
    },
    /// Print what every member says of itself: what it has delivered and holds back, and who is behind.
    Status,
}

/// What is shown.
#[derive(Clone, Copy, Debug, Args)]
struct Look {
    /// Show the vector time of each message: how many of each member came before it, itself included.
    #[arg(long)]
    clocks: bool,
    /// Begin with the messages that are still kept, not with those that come from now on.
    #[arg(long)]
    history: bool,
}

fn parse_author(text: &str) -> Result<String, String> {
    match text.len() <= AUTHOR_BYTES_MAX && !text.chars().any(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(format!("one line of at most {AUTHOR_BYTES_MAX} bytes")),
    }
}

impl BroadcastArgs {
    /// Makes the request.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let BroadcastArgs {
            request,
            client: args,
        } = self;
        runtime()?.block_on(async {
            let options = ClientOptions {
                timeout: args.timeout,
                attempt_timeout: args.timeout.min(Duration::from_secs(2)),
            };
            let client = Client::new(args.endpoints, options)?;
            let printer = |clocks| Printer {
                json: args.json,
                clocks,
            };
            match request {
                Request::Join { author, look } => {
                    join(&client, author, look, printer(look.clocks)).await
                }
                Request::Send { author, messages } => {
                    let bodies = messages
                        .into_iter()
                        .map(|text| value_of(text, BODY_BYTES_MAX));
                    let bodies = bodies.collect::<Result<Vec<_>, _>>()?;
                    let count = bodies.len();
                    let published = client.publish(&author, bodies).await?;
                    printer(false).published(published, count)
                }
                Request::Follow { look, count } => {
                    let mut follow = client.follow(look.from()).await?;
                    let mut shown = 0;
                    while count.is_none_or(|count| shown < count) {
                        shown += show(&mut follow, printer(look.clocks)).await?;
                    }
                    Ok(Outcome::Holds)
                }
                Request::Status => printer(false).statuses(&client.status().await),
            }
        })
    }
}

impl Look {
    fn from(self) -> From {
        match self.history {
            true => From::Kept,
            false => From::Now,
        }
    }
}

/// Shows what is next; how many messages that is.
async fn show(follow: &mut Follow, printer: Printer) -> Result<u64, Failure> {
    match follow.next().await {
        Ok(message) => printer.message(&message).map(|()| 1),
        Err(FollowError::Missed(missed)) => printer.missed(missed).map(|()| 0),
        Err(FollowError::Client(error)) => Err(error.into()),
    }
}

/// Shows what everybody says, and publishes what is typed; what is published follows what was shown.
async fn join(
    client: &Client,
    author: String,
    look: Look,
    printer: Printer,
) -> Result<Outcome, Failure> {
    let mut follow = client.follow(look.from()).await?;
    eprintln!(
        "quorate: joined as {author}; what you type is published line by line, Ctrl-D leaves"
    );
    let typed = lines();
    let speaking = tokio::spawn(speak(client.clone(), author, typed));
    let listening = async {
        loop {
            show(&mut follow, printer).await?;
        }
    };
    tokio::select! {
        ended = speaking => ended.map_err(|error| Failure::Fault(error.to_string())),
        failed = listening => failed,
    }
}

async fn speak(client: Client, author: String, mut typed: mpsc::Receiver<String>) -> Outcome {
    let mut outcome = Outcome::Holds;
    while let Some(line) = typed.recv().await {
        if let Err(error) = client.publish(&author, [line]).await {
            eprintln!("quorate: not published: {error}");
            outcome = Outcome::Cluster;
        }
    }
    outcome
}

/// The lines of standard input, read on a thread of its own: a read that waits for a person cannot be given up, and
/// must not keep the process. Empty ones say nothing.
fn lines() -> mpsc::Receiver<String> {
    let (sender, typed) = mpsc::channel(LINES_AHEAD);
    std::thread::spawn(move || {
        for line in io::stdin().lines() {
            match line {
                Ok(line) if line.is_empty() => {}
                Ok(line) => {
                    if sender.blocking_send(line).is_err() {
                        return;
                    }
                }
                Err(error) => return eprintln!("quorate: reading standard input: {error}"),
            }
        }
    });
    typed
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        broadcast: BroadcastArgs,
    }

    fn parse(line: &str) -> Result<BroadcastArgs, clap::Error> {
        let words = std::iter::once("broadcast").chain(line.split(' '));
        Line::try_parse_from(words).map(|line| line.broadcast)
    }

    #[test]
    fn whoever_joins_has_a_name_that_fits() {
        assert!(parse("join --as anna --clocks").is_ok());
        assert!(parse("join").is_err());
        assert!(parse(&format!("join --as {}", "a".repeat(AUTHOR_BYTES_MAX + 1))).is_err());
    }

    #[test]
    fn something_is_sent() {
        assert!(parse("send hello - --json").is_ok());
        assert!(parse("send").is_err());
    }
}
