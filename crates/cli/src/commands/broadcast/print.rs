//! What `quorate broadcast` prints: lines for people, or JSON.

use quorate::NodeId;
use quorate_feed::client::Published;
use quorate_feed::proto::{Clock as ClockAnswer, StatusResponse};
use quorate_feed::{Clock, Message, Missed};
use serde_json::{Map, Value, json};

use crate::commands::client::{insert, print, text};
use crate::outcome::{Failure, Outcome};

/// Prints on standard output.
#[derive(Clone, Copy)]
pub(super) struct Printer {
    pub(super) json: bool,
    pub(super) clocks: bool,
}

impl Printer {
    pub(super) fn message(self, message: &Message) -> Result<(), Failure> {
        if self.json {
            let mut object = Map::new();
            object.insert("member".to_owned(), message.sender.0.into());
            object.insert("sequence".to_owned(), message.sequence.into());
            object.insert("position".to_owned(), message.position.into());
            object.insert("clock".to_owned(), counts(pairs(&message.clock)));
            object.insert("author".to_owned(), message.author.clone().into());
            insert(&mut object, "body", &message.body);
            return print(&Value::Object(object).to_string());
        }
        let author = match message.author.as_str() {
            "" => "somebody".to_owned(),
            author => text(author.as_bytes()),
        };
        let clock = match self.clocks {
            true => format!("{}  ", words(pairs(&message.clock))),
            false => String::new(),
        };
        print(&format!(
            "{clock}{author} at {}: {}",
            message.sender.0,
            text(&message.body)
        ))
    }

    /// A gap is part of the result for a program, and a remark for a person.
    pub(super) fn missed(self, missed: Missed) -> Result<(), Failure> {
        match self.json {
            true => print(&json!({ "missed": missed.missed }).to_string()),
            false => {
                eprintln!("quorate: {missed}");
                Ok(())
            }
        }
    }

    pub(super) fn published(self, published: Published, count: usize) -> Result<Outcome, Failure> {
        let Published { member, first } = published;
        let last = first.saturating_add(count as u64).saturating_sub(1);
        let line = match (self.json, count) {
            (true, _) => json!({ "member": member.0, "first": first, "last": last }).to_string(),
            (false, 1) => format!("published as message {first} of member {}", member.0),
            (false, _) => format!(
                "published as messages {first} to {last} of member {}",
                member.0
            ),
        };
        print(&line)?;
        Ok(Outcome::Holds)
    }

    /// A group is reached if at least one member answers.
    pub(super) fn statuses(
        self,
        statuses: &[(String, Result<StatusResponse, String>)],
    ) -> Result<Outcome, Failure> {
        for (endpoint, answer) in statuses {
            let line = match (self.json, answer) {
                (true, Ok(status)) => json_of(endpoint, status).to_string(),
                (true, Err(why)) => json!({ "endpoint": endpoint, "error": why }).to_string(),
                (false, Ok(status)) => words_of(endpoint, status),
                (false, Err(why)) => format!("{endpoint}  {why}"),
            };
            print(&line)?;
        }
        match statuses.iter().any(|(_, answer)| answer.is_ok()) {
            true => Ok(Outcome::Holds),
            false => Err(Failure::Cluster("no member answers".into())),
        }
    }
}

fn json_of(endpoint: &str, status: &StatusResponse) -> Value {
    let lacks = status.peers.iter().map(|peer| (peer.id, peer.lacks));
    json!({
        "endpoint": endpoint,
        "id": status.id,
        "delivered": counts(entries(&status.delivered)),
        "held_back": held_back(status),
        "position": status.position,
        "kept_from": status.kept_from,
        "window": status.window,
        "window_used": status.window_used,
        "lacks": counts(lacks),
    })
}

fn words_of(endpoint: &str, status: &StatusResponse) -> String {
    let behind = status.peers.iter().filter(|peer| peer.lacks > 0);
    let behind: Vec<String> = behind
        .map(|peer| format!("member {} lacks {}", peer.id, peer.lacks))
        .collect();
    let behind = match behind.is_empty() {
        true => "nobody is behind".to_owned(),
        false => behind.join(", "),
    };
    format!(
        "{endpoint}  member {}  delivered {}  {} held back  window {} of {}  {behind}",
        status.id,
        words(entries(&status.delivered)),
        held_back(status),
        status.window_used,
        status.window,
    )
}

/// Messages that have come before something that they depend on.
fn held_back(status: &StatusResponse) -> u64 {
    let total = |clock| {
        entries(clock)
            .map(|(_, count)| count)
            .fold(0, u64::saturating_add)
    };
    total(&status.received).saturating_sub(total(&status.delivered))
}

fn pairs(clock: &Clock) -> impl Iterator<Item = (u32, u64)> {
    clock.iter().map(|(NodeId(member), count)| (member, count))
}

fn entries(clock: &Option<ClockAnswer>) -> impl Iterator<Item = (u32, u64)> {
    let clock = clock.clone().unwrap_or_default();
    clock.members.into_iter().zip(clock.counts)
}

/// A clock for people: `[1:5 2:7]`.
fn words(counts: impl Iterator<Item = (u32, u64)>) -> String {
    let counts: Vec<String> = counts
        .map(|(member, count)| format!("{member}:{count}"))
        .collect();
    format!("[{}]", counts.join(" "))
}

/// A clock for programs, by member.
fn counts(counts: impl Iterator<Item = (u32, u64)>) -> Value {
    let counts = counts.map(|(member, count)| (member.to_string(), count.into()));
    Value::Object(counts.collect())
}
