//! What `quorate txn` prints, for people and for programs.

use bytes::Bytes;
use quorate_transactions::{ClientError, Outcome as Ended, Read, Standing, TransactionId, proto};
use serde_json::{Map, Value, json};

use crate::commands::client::{insert, print, text};
use crate::outcome::{Failure, Outcome};

#[derive(Clone, Copy, Debug)]
pub(super) struct Printer {
    pub(super) json: bool,
}

impl Printer {
    /// A transaction has its outcome.
    pub(super) fn ended(self, id: TransactionId, outcome: &Ended) -> Result<Outcome, Failure> {
        self.standing(id, &Standing::Ended(outcome.clone()))
    }

    /// What is known of a transaction.
    pub(super) fn standing(
        self,
        id: TransactionId,
        standing: &Standing,
    ) -> Result<Outcome, Failure> {
        let (word, reason, outcome) = match standing {
            Standing::Ended(Ended::Committed) => ("committed", None, Outcome::Holds),
            Standing::Ended(Ended::Aborted { reason }) => {
                let reason = Some(reason.as_str()).filter(|reason| !reason.is_empty());
                ("aborted", reason, Outcome::Refuted)
            }
            Standing::Open => ("open", Some("not decided yet"), Outcome::Cluster),
            Standing::NotKnown => {
                let reason =
                    "its coordinator knows of none: it has no effect, unless it is run again";
                ("unknown", Some(reason), Outcome::Refuted)
            }
            Standing::Forgotten => {
                let reason = "too old: its coordinator has forgotten what became of it";
                ("forgotten", Some(reason), Outcome::Cluster)
            }
        };
        if self.json {
            let mut object = json!({ "id": id.to_string(), "outcome": word });
            if let (Some(reason), Value::Object(object)) = (reason, &mut object) {
                object.insert("reason".to_owned(), reason.into());
            }
            print(&object.to_string())?;
        } else {
            let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
            print(&format!("{word}  {id}{reason}"))?;
        }
        Ok(outcome)
    }

    /// The outcome could not be learnt.
    pub(super) fn unknown(
        self,
        id: TransactionId,
        error: &ClientError,
    ) -> Result<Outcome, Failure> {
        if self.json {
            let error = error.to_string();
            print(&json!({ "id": id.to_string(), "outcome": null, "reason": error }).to_string())?;
        } else {
            eprintln!("quorate: {error}");
            eprintln!("quorate: ask again later: quorate txn status {id}");
        }
        Ok(Outcome::Cluster)
    }

    pub(super) fn id(self, id: TransactionId) -> Result<Outcome, Failure> {
        match self.json {
            true => print(&json!({ "id": id.to_string() }).to_string())?,
            false => print(&id.to_string())?,
        }
        Ok(Outcome::Holds)
    }

    pub(super) fn read(self, read: &Read) -> Result<Outcome, Failure> {
        let locked_by = read.locked_by.map(|id| id.to_string());
        if self.json {
            let mut object = Map::new();
            if let Some(value) = &read.value {
                insert(&mut object, "value", value);
            }
            if let Some(id) = &locked_by {
                object.insert("locked_by".to_owned(), id.as_str().into());
            }
            print(&Value::Object(object).to_string())?;
        } else {
            match &read.value {
                Some(value) => print(&text(value))?,
                None => eprintln!("quorate: no such key"),
            }
            if let Some(id) = locked_by {
                eprintln!("quorate: transaction {id} is about to change it");
            }
        }
        Ok(match read.value {
            Some(_) => Outcome::Holds,
            None => Outcome::Refuted,
        })
    }

    pub(super) fn list(self, items: &[(Bytes, Bytes)]) -> Result<Outcome, Failure> {
        for (key, value) in items {
            let line = match self.json {
                true => {
                    let mut object = Map::new();
                    insert(&mut object, "key", key);
                    insert(&mut object, "value", value);
                    Value::Object(object).to_string()
                }
                false => format!("{}  {}", text(key), text(value)),
            };
            print(&line)?;
        }
        Ok(Outcome::Holds)
    }

    /// A cluster is reached if at least one member answers.
    pub(super) fn statuses(
        self,
        statuses: &[(String, Result<proto::StatusResponse, String>)],
    ) -> Result<Outcome, Failure> {
        for (endpoint, answer) in statuses {
            let lines = match (self.json, answer) {
                (true, Ok(status)) => vec![json(endpoint, status).to_string()],
                (true, Err(why)) => vec![json!({ "endpoint": endpoint, "error": why }).to_string()],
                (false, Ok(status)) => lines(endpoint, status),
                (false, Err(why)) => vec![format!("{endpoint}  {why}")],
            };
            lines.iter().try_for_each(|line| print(line))?;
        }
        Ok(match statuses.iter().any(|(_, answer)| answer.is_ok()) {
            true => Outcome::Holds,
            false => Outcome::Cluster,
        })
    }
}

fn lines(endpoint: &str, status: &proto::StatusResponse) -> Vec<String> {
    let mut lines = vec![format!(
        "{endpoint}  member {}  coordinates {}  in doubt about {}",
        status.id, status.open, status.in_doubt_total
    )];
    for (id, keys) in in_doubt(status) {
        let keys: Vec<String> = keys.iter().map(|key| text(key)).collect();
        lines.push(format!("  {id} has locked {}", keys.join(", ")));
    }
    let more = status
        .in_doubt_total
        .saturating_sub(status.in_doubt.len() as u64);
    if more > 0 {
        lines.push(format!("  and {more} more"));
    }
    lines
}

fn json(endpoint: &str, status: &proto::StatusResponse) -> Value {
    let in_doubt = in_doubt(status).map(|(id, keys)| {
        let keys: Vec<String> = keys.iter().map(|key| text(key)).collect();
        json!({ "id": id, "keys": keys })
    });
    json!({
        "endpoint": endpoint,
        "id": status.id,
        "open": status.open,
        "in_doubt_total": status.in_doubt_total,
        "in_doubt": in_doubt.collect::<Vec<_>>(),
    })
}

fn in_doubt(status: &proto::StatusResponse) -> impl Iterator<Item = (String, &[Bytes])> {
    status.in_doubt.iter().map(|doubt| {
        let id = doubt.id.map_or_else(
            || "a transaction without an id".to_owned(),
            |id| TransactionId::from(id).to_string(),
        );
        (id, &doubt.keys[..])
    })
}
