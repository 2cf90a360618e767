//! `quorate kv`: a client of a replicated key-value store.
//!
//! Keys and values are bytes. On the command line they are text; a value of `-` is read from standard input,
//! byte for byte, and `get --raw` writes one so.

mod print;

use bytes::Bytes;
use clap::{ArgGroup, Args, Subcommand};
use quorate_kv::{Client, ClientOptions, Expected, VALUE_BYTES_MAX};

use self::print::Printer;
use super::client::{ClientArgs, runtime, value_of};
use crate::outcome::{Failure, Outcome};

/// Options of `quorate kv`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct KvArgs {
    #[command(subcommand)]
    request: Request,

    #[command(flatten)]
    client: ClientArgs,
}

const HELP: &str = "\
The exit status is 1 when a key does not exist or does not hold what was expected, and 3 when no leader
can be reached.

Examples:
  quorate kv put greeting hello
  quorate kv put photo - < photo.jpg
  quorate kv get photo --raw > copy.jpg
  quorate kv cas greeting --value hello goodbye
  quorate kv range --prefix user/ --json
  quorate kv watch";

#[derive(Debug, Subcommand)]
enum Request {
    /// Print what a key holds.
    Get {
        /// The key.
        key: String,
        /// Write the value as it is, without a line end.
        #[arg(long, conflicts_with = "json")]
        raw: bool,
    },
    /// Set a key.
    Put {
        /// The key.
        key: String,
        /// Its value; - reads standard input.
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Remove a key.
    Delete {
        /// The key.
        key: String,
    },
    /// Set a key if it holds what is expected.
    #[command(group = ArgGroup::new("expected").required(true))]
    Cas {
        /// The key.
        key: String,
        /// If it does not exist.
        #[arg(long, group = "expected")]
        absent: bool,
        /// If it holds this value.
        #[arg(
            long,
            group = "expected",
            value_name = "VALUE",
            allow_hyphen_values = true
        )]
        value: Option<String>,
        /// If it was set by this write.
        #[arg(long, group = "expected", value_name = "REVISION")]
        revision: Option<u64>,
        /// Its new value; - reads standard input.
        #[arg(allow_hyphen_values = true)]
        new: String,
    },
    /// Print the keys of a range, in order.
    Range {
        #[command(flatten)]
        range: Range,
        /// At most so many; without it as many as a member gives at once.
        #[arg(long, default_value_t = 0)]
        limit: u32,
    },
    /// Print changes in a range as they happen, until interrupted.
    Watch {
        #[command(flatten)]
        range: Range,
    },
    /// Print what every member says of itself.
    Status,
}

/// The keys from START to before END; all of them by default.
#[derive(Debug, Args)]
#[group(skip)] // a group would share its name with the request `range`
struct Range {
    /// The first key.
    #[arg(default_value = "")]
    start: String,
    /// The first key that is no longer wanted; without it the range goes to the last key.
    #[arg(default_value = "")]
    end: String,
    /// All keys that begin so, instead of a start and an end.
    #[arg(long, conflicts_with_all = ["start", "end"])]
    prefix: Option<String>,
}

impl Range {
    fn bounds(self) -> (Bytes, Bytes) {
        match self.prefix {
            Some(prefix) => {
                let end = after_prefix(prefix.as_bytes());
                (prefix.into(), end)
            }
            None => (self.start.into(), self.end.into()),
        }
    }
}

/// The first key after all that begin with `prefix`; empty, which stands for none, if there is none.
fn after_prefix(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end.into()
}

impl KvArgs {
    /// Makes the request.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        runtime()?.block_on(async {
            let options = ClientOptions {
                timeout: self.client.timeout,
                ..ClientOptions::default()
            };
            let client = Client::new(self.client.endpoints, options)?;
            let printer = Printer {
                json: self.client.json,
            };
            self.request.make(&client, printer).await
        })
    }
}

impl Request {
    async fn make(self, client: &Client, printer: Printer) -> Result<Outcome, Failure> {
        match self {
            Request::Get { key, raw } => match client.get(key).await? {
                None => printer.missing(),
                Some(item) if raw => printer.raw(&item.value),
                Some(item) => printer.item(&item),
            },
            Request::Put { key, value } => {
                let written = client.put(key, value_of(value, VALUE_BYTES_MAX)?).await?;
                printer.put(written)
            }
            Request::Delete { key } => {
                let written = client.delete(key).await?;
                printer.deleted(written)
            }
            Request::Cas {
                key,
                absent: _, // what is left when the others are not there
                value,
                revision,
                new,
            } => {
                let expected = match (value, revision) {
                    (Some(value), _) => Expected::Value(value.into()),
                    (None, Some(revision)) => Expected::Revision(revision),
                    (None, None) => Expected::Absent,
                };
                let swapped = client
                    .compare_and_swap(key, expected, value_of(new, VALUE_BYTES_MAX)?)
                    .await?;
                printer.swapped(&swapped)
            }
            Request::Range { range, limit } => {
                let (start, end) = range.bounds();
                let found = client.range(start, end, limit).await?;
                printer.items(&found)
            }
            Request::Watch { range } => {
                let (start, end) = range.bounds();
                let mut watch = client.watch(start, end).await?;
                loop {
                    let event = watch.next().await?;
                    printer.event(&event)?;
                }
            }
            Request::Status => printer.statuses(&client.status().await),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        kv: KvArgs,
    }

    fn parse(line: &str) -> Result<KvArgs, clap::Error> {
        let words = std::iter::once("kv").chain(line.split(' '));
        Line::try_parse_from(words).map(|line| line.kv)
    }

    #[test]
    fn a_swap_expects_exactly_one_thing() {
        assert!(parse("cas k --absent v").is_ok());
        assert!(parse("cas k --value - -").is_ok());
        assert!(parse("cas k v").is_err());
        assert!(parse("cas k --absent --revision 3 v").is_err());
    }

    #[test]
    fn options_may_follow_the_request() {
        let args = parse("get k --endpoints a:1,b:2 --timeout 0.5").unwrap();
        assert_eq!(args.client.endpoints, ["a:1", "b:2"]);
        assert_eq!(args.client.timeout.as_millis(), 500);
        assert!(parse("get k --timeout 0").is_err());
    }

    #[test]
    fn a_prefix_ends_before_the_next_one() {
        let end = |prefix: &[u8]| after_prefix(prefix).to_vec();
        assert_eq!(end(b"user/"), b"user0");
        assert_eq!(end(b"a\xff\xff"), b"b");
        assert_eq!(end(b"\xff"), b"");
        assert_eq!(end(b""), b"");
    }
}
