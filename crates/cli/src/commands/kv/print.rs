//! What `quorate kv` prints: lines for people, or JSON.

use std::io::{self, Write};

use quorate_kv::client::{Event, Items, Swapped, Written};
use quorate_kv::{Item, proto::StatusResponse};
use serde_json::{Map, Value, json};

use crate::outcome::{Failure, Outcome};

/// Prints on standard output.
#[derive(Clone, Copy)]
pub(super) struct Printer {
    pub(super) json: bool,
}

impl Printer {
    pub(super) fn missing(self) -> Result<Outcome, Failure> {
        match self.json {
            true => self.line(&Value::Null.to_string())?,
            false => eprintln!("quorate: there is no such key"),
        }
        Ok(Outcome::Refuted)
    }

    pub(super) fn raw(self, value: &[u8]) -> Result<Outcome, Failure> {
        write(value)?;
        Ok(Outcome::Holds)
    }

    pub(super) fn item(self, item: &Item) -> Result<Outcome, Failure> {
        let line = match self.json {
            true => json_of(item).to_string(),
            false => text(&item.value),
        };
        self.line(&line)?;
        Ok(Outcome::Holds)
    }

    pub(super) fn items(self, found: &Items) -> Result<Outcome, Failure> {
        for item in &found.items {
            let line = match self.json {
                true => json_of(item).to_string(),
                false => format!(
                    "{:>8}  {}  {}",
                    item.revision,
                    text(&item.key),
                    text(&item.value)
                ),
            };
            self.line(&line)?;
        }
        if found.more {
            eprintln!("quorate: there are more; go on after the last key");
        }
        Ok(Outcome::Holds)
    }

    pub(super) fn put(self, written: Written) -> Result<Outcome, Failure> {
        let Written { revision, existed } = written;
        let line = match (self.json, existed) {
            (true, _) => json!({ "revision": revision, "existed": existed }).to_string(),
            (false, true) => format!("replaced, revision {revision}"),
            (false, false) => format!("created, revision {revision}"),
        };
        self.line(&line)?;
        Ok(Outcome::Holds)
    }

    pub(super) fn deleted(self, written: Written) -> Result<Outcome, Failure> {
        let Written { revision, existed } = written;
        let line = match (self.json, existed) {
            (true, _) => json!({ "revision": revision, "existed": existed }).to_string(),
            (false, true) => format!("deleted, revision {revision}"),
            (false, false) => "there was no such key".to_owned(),
        };
        self.line(&line)?;
        Ok(Outcome::Holds)
    }

    pub(super) fn swapped(self, swapped: &Swapped) -> Result<Outcome, Failure> {
        let Swapped { revision, current } = swapped;
        let line = match (self.json, revision, current) {
            (true, ..) => json!({
                "swapped": revision.is_some(),
                "revision": revision,
                "current": current.as_ref().map(json_of),
            })
            .to_string(),
            (false, Some(revision), _) => format!("swapped, revision {revision}"),
            (false, None, None) => "not swapped: there is no such key".to_owned(),
            (false, None, Some(item)) => {
                let (value, revision) = (text(&item.value), item.revision);
                format!("not swapped: it holds {value}, revision {revision}")
            }
        };
        self.line(&line)?;
        Ok(match revision {
            Some(_) => Outcome::Holds,
            None => Outcome::Refuted,
        })
    }

    pub(super) fn event(self, event: &Event) -> Result<(), Failure> {
        let line = match (self.json, &event.value) {
            (true, value) => {
                let mut object = Map::new();
                insert(&mut object, "key", &event.key);
                match value {
                    Some(value) => insert(&mut object, "value", value),
                    None => {
                        object.insert("deleted".to_owned(), true.into());
                    }
                }
                object.insert("revision".to_owned(), event.revision.into());
                Value::Object(object).to_string()
            }
            (false, Some(value)) => {
                format!(
                    "{:>8}  {}  {}",
                    event.revision,
                    text(&event.key),
                    text(value)
                )
            }
            (false, None) => format!("{:>8}  {}  (deleted)", event.revision, text(&event.key)),
        };
        self.line(&line)
    }

    /// A cluster is reached if at least one member answers.
    pub(super) fn statuses(
        self,
        statuses: &[(String, Result<StatusResponse, String>)],
    ) -> Result<Outcome, Failure> {
        let mut answered = false;
        for (endpoint, answer) in statuses {
            answered |= answer.is_ok();
            let line = match (self.json, answer) {
                (true, Ok(status)) => json!({
                    "endpoint": endpoint,
                    "id": status.id,
                    "role": status.role,
                    "term": status.term,
                    "leader": (status.leader > 0).then_some(status.leader),
                    "applied": status.applied,
                })
                .to_string(),
                (true, Err(why)) => json!({ "endpoint": endpoint, "error": why }).to_string(),
                (false, Ok(status)) => {
                    let leader = match status.leader {
                        0 => "none known".to_owned(),
                        leader => leader.to_string(),
                    };
                    format!(
                        "{endpoint}  member {}  {}  term {}  leader {leader}  applied {}",
                        status.id, status.role, status.term, status.applied
                    )
                }
                (false, Err(why)) => format!("{endpoint}  {why}"),
            };
            self.line(&line)?;
        }
        match answered {
            true => Ok(Outcome::Holds),
            false => Err(Failure::Cluster("no member answers".into())),
        }
    }

    fn line(self, line: &str) -> Result<(), Failure> {
        write(format!("{line}\n").as_bytes())
    }
}

fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(Failure::local("writing to standard output"))
}

/// Bytes for people: as they are if they are text of one line, escaped otherwise.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    }
}

fn json_of(item: &Item) -> Value {
    let mut object = Map::new();
    insert(&mut object, "key", &item.key);
    insert(&mut object, "value", &item.value);
    object.insert("revision".to_owned(), item.revision.into());
    Value::Object(object)
}

/// Bytes for programs: a string if they are UTF-8, hexadecimal under a name that says so otherwise.
fn insert(object: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
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
    use bytes::Bytes;

    #[test]
    fn bytes_that_would_upset_a_terminal_are_escaped() {
        assert_eq!(text("grüß dich".as_bytes()), "grüß dich");
        assert_eq!(text(b"a\nb"), "a\\nb");
        assert_eq!(text(b"\x1b[2J"), "\\x1b[2J");
        assert_eq!(text(b"\xff"), "\\xff");
    }

    #[test]
    fn bytes_that_are_no_text_are_hexadecimal_in_json() {
        let item = Item {
            key: Bytes::from_static(b"k"),
            value: Bytes::from_static(b"\xff\x00"),
            revision: 7,
        };
        let expected = json!({ "key": "k", "value_hex": "ff00", "revision": 7 });
        assert_eq!(json_of(&item), expected);
    }
}
