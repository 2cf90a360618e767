//! What `quorate kv` prints: lines for people, or JSON.

use quorate_kv::client::{Event, Items, Swapped, Written};
use quorate_kv::{Item, proto::StatusResponse};
use serde_json::{Map, Value, json};

use crate::commands::client::{insert, print, text, write};
use crate::outcome::{Failure, Outcome};

/// Prints on standard output.
#[derive(Clone, Copy)]
pub(super) struct Printer {
    pub(super) json: bool,
}

impl Printer {
    pub(super) fn missing(self) -> Result<Outcome, Failure> {
        match self.json {
            true => print(&Value::Null.to_string())?,
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
        print(&line)?;
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
            print(&line)?;
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
        print(&line)?;
        Ok(Outcome::Holds)
    }

    pub(super) fn deleted(self, written: Written) -> Result<Outcome, Failure> {
        let Written { revision, existed } = written;
        let line = match (self.json, existed) {
            (true, _) => json!({ "revision": revision, "existed": existed }).to_string(),
            (false, true) => format!("deleted, revision {revision}"),
            (false, false) => "there was no such key".to_owned(),
        };
        print(&line)?;
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
        print(&line)?;
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
        print(&line)
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
            print(&line)?;
        }
        match answered {
            true => Ok(Outcome::Holds),
            false => Err(Failure::Cluster("no member answers".into())),
        }
    }
}

fn json_of(item: &Item) -> Value {
    let mut object = Map::new();
    insert(&mut object, "key", &item.key);
    insert(&mut object, "value", &item.value);
    object.insert("revision".to_owned(), item.revision.into());
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

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
