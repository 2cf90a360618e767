//! What the commands that talk to a cluster have in common: whom they ask and for how long, how the failures of
//! a client end a command, and how bytes get from the command line to a cluster and back.

use std::io::{self, Read, Write};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use quorate_client::ClientError;
use serde_json::{Map, Value};
use tokio::runtime::{Builder, Runtime};

use crate::outcome::Failure;

/// Whom to ask, and how.
#[derive(Debug, Args)]
pub(super) struct ClientArgs {
    /// Client addresses of members, as host:port; one that answers is enough.
    #[arg(
        long,
        global = true,
        value_delimiter = ',',
        env = "QUORATE_ENDPOINTS",
        default_value = "127.0.0.1:7201,127.0.0.1:7202,127.0.0.1:7203"
    )]
    pub(super) endpoints: Vec<String>,

    /// Seconds after which a request is given up, all attempts together.
    #[arg(long, global = true, default_value = "10", value_parser = parse_seconds)]
    pub(super) timeout: Duration,

    /// Print JSON, one value a line; bytes that are no UTF-8 in hexadecimal, under a name that ends in `_hex`.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() && seconds <= 86_400.0 => Ok(duration),
        _ => Err("more than 0 and at most a day".into()),
    }
}

/// What a client runs on.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::local("starting the client's runtime"))
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Endpoint { .. } | ClientError::Invalid(_) => {
                Failure::Usage(error.to_string())
            }
            _ => Failure::Cluster(error.to_string()),
        }
    }
}

/// The value that is meant: standard input if it is `-`. Of a value that is longer than `most` just so much is
/// read that it will be refused.
pub(super) fn value_of(text: String, most: usize) -> Result<Bytes, Failure> {
    if text != "-" {
        return Ok(text.into());
    }
    let mut value = Vec::new();
    io::stdin()
        .take(most as u64 + 1)
        .read_to_end(&mut value)
        .map_err(Failure::local("reading standard input"))?;
    Ok(value.into())
}

/// Prints a line of a result.
pub(super) fn print(line: &str) -> Result<(), Failure> {
    write(format!("{line}\n").as_bytes())
}

/// Writes bytes to standard output as they are.
pub(super) fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(Failure::local("writing to standard output"))
}

/// Bytes for people: as they are if they are text of one line, escaped otherwise.
pub(super) fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    }
}

/// Bytes for programs: a string if they are UTF-8, hexadecimal under a name that says so otherwise.
pub(super) fn insert(object: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => object.insert(name.to_owned(), text.into()),
        Err(_) => {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
            object.insert(format!("{name}_hex"), digits.collect::<String>().into())
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_would_upset_a_terminal_are_escaped() {
        assert_eq!(text("grüß dich".as_bytes()), "grüß dich");
        assert_eq!(text(b"a\nb"), "a\\nb");
        assert_eq!(text(b"\x1b[2J"), "\\x1b[2J");
        assert_eq!(text(b"\xff"), "\\xff");
    }

    #[test]
    fn bytes_that_are_no_text_are_hexadecimal_in_json() {
        let mut object = Map::new();
        insert(&mut object, "key", b"k");
        insert(&mut object, "value", b"\xff\x00");
        let expected = serde_json::json!({ "key": "k", "value_hex": "ff00" });
        assert_eq!(Value::Object(object), expected);
    }

    #[test]
    fn a_time_is_more_than_nothing_and_at_most_a_day() {
        assert_eq!(parse_seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["0", "-1", "nan", "1e9", "soon"] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }
}
