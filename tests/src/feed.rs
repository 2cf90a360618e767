//! What readers of a feed were told, held against what its publishers had read.
//!
//! Nothing here looks at the members' own clocks. A publisher writes into each message how many messages it had read
//! before; what it had read then is in its own record, and must come before that message in everybody's.

use std::collections::{BTreeMap, HashMap, HashSet};

/// A message that somebody was told: which one it is by the members' count, and which one by its publisher's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Heard {
    /// The member that it was published at.
    pub member: u32,
    /// Its number there.
    pub sequence: u64,
    /// What it says.
    pub said: Said,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Said {
    /// Who publishes it; publishers are readers, and are counted from 0.
    pub publisher: usize,
    /// Its number among the publisher's messages, from 0.
    pub number: u64,
    /// How many messages the publisher had read.
    pub read: usize,
}

impl Said {
    /// As the body of a message.
    pub fn body(&self) -> String {
        format!("{} {} {}", self.publisher, self.number, self.read)
    }

    /// From the body of a message.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(body).ok()?.split(' ');
        let said = Said {
            publisher: words.next()?.parse().ok()?,
            number: words.next()?.parse().ok()?,
            read: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(said)
    }
}

/// How many messages of each member.
type Counts = BTreeMap<u32, u64>;

/// Checks what each reader was told, in the order in which it was told.
///
/// Of each reader: the messages of each member without a gap or a repetition; of each publisher in the order in which
/// it published, each once; and each message after everything that its publisher had read. Of all: the same messages,
/// and `published` of each publisher.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn check(readers: &[Vec<Heard>], published: &[u64]) -> Result<(), String> {
    let causes = causes(readers)?;
    let mut names: HashMap<(u32, u64), Said> = HashMap::new();
    for (reader, told) in readers.iter().enumerate() {
        let mut counts = Counts::new();
        let mut numbers = vec![0; published.len()];
        for heard in told {
            let Heard {
                member,
                sequence,
                said,
            } = *heard;
            let wrong = |what: &str| Err(format!("reader {reader} was told {heard:?} {what}"));
            let count = counts.entry(member).or_default();
            if sequence != *count + 1 {
                return wrong(&format!("after number {count} of the member"));
            }
            if *names.entry((member, sequence)).or_insert(said) != said {
                return wrong("under a number that another reader was told something else under");
            }
            let number = numbers.get_mut(said.publisher);
            if number.as_deref() != Some(&said.number) {
                return wrong(&format!("where its publisher's number {number:?} belongs"));
            }
            for (cause, needed) in &causes[&(said.publisher, said.read)] {
                let had = counts.get(cause).copied().unwrap_or_default();
                if had < *needed {
                    return wrong(&format!(
                        "before number {needed} of member {cause}, which its publisher had read"
                    ));
                }
            }
            counts.insert(member, sequence);
            numbers[said.publisher] += 1;
        }
        if numbers != published {
            return Err(format!(
                "reader {reader} was told {numbers:?} of {published:?} messages"
            ));
        }
    }
    Ok(())
}

/// What publishers had read when they published: by publisher, and how many messages it was.
fn causes(readers: &[Vec<Heard>]) -> Result<HashMap<(usize, usize), Counts>, String> {
    let said: HashSet<_> = readers
        .iter()
        .flatten()
        .map(|heard| (heard.said.publisher, heard.said.read))
        .collect();
    let mut causes = HashMap::new();
    for (publisher, read) in readers.iter().enumerate() {
        let mut counts = Counts::new();
        for at in 0..=read.len() {
            if said.contains(&(publisher, at)) {
                causes.insert((publisher, at), counts.clone());
            }
            if let Some(heard) = read.get(at) {
                counts.insert(heard.member, heard.sequence);
            }
        }
    }
    match said.into_iter().find(|name| !causes.contains_key(name)) {
        None => Ok(causes),
        Some((publisher, read)) => Err(format!(
            "somebody was told that publisher {publisher} had read {read} messages, which it had not"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(member: u32, sequence: u64, publisher: usize, number: u64, read: usize) -> Heard {
        let said = Said {
            publisher,
            number,
            read,
        };
        Heard {
            member,
            sequence,
            said,
        }
    }

    /// Publisher 0 asks at member 1, publisher 1 answers at member 2 and publishes once more.
    fn conversation() -> Vec<Vec<Heard>> {
        let (question, answer) = (heard(1, 1, 0, 0, 0), heard(2, 1, 1, 0, 1));
        let told = vec![question, answer, heard(2, 2, 1, 1, 2)];
        vec![told.clone(), told]
    }

    fn refused(change: impl FnOnce(&mut Vec<Vec<Heard>>)) -> String {
        let mut readers = conversation();
        change(&mut readers);
        check(&readers, &[1, 2]).expect_err("something is wrong")
    }

    #[test]
    fn what_is_right_is_right() {
        assert_eq!(check(&conversation(), &[1, 2]), Ok(()));
        let said = conversation()[0][2].said;
        assert_eq!(Said::parse(said.body().as_bytes()), Some(said));
        assert_eq!(Said::parse(b"1 2"), None);
    }

    #[test]
    fn every_promise_is_missed_when_it_is_broken() {
        let early = refused(|readers| readers[0].swap(0, 1));
        assert!(early.contains("before number 1 of member 1"), "{early}");
        let twice = refused(|readers| {
            let again = readers[0][2];
            readers[0].push(again);
        });
        assert!(twice.contains("after number 2 of the member"), "{twice}");
        let gap = refused(|readers| {
            readers[0].remove(1);
        });
        assert!(gap.contains("after number 0 of the member"), "{gap}");
        let lost = refused(|readers| {
            readers[0].pop();
        });
        assert!(
            lost.contains("had read 2 messages") || lost.contains("[1, 1] of [1, 2]"),
            "{lost}"
        );
        let reused = refused(|readers| readers[0][2].said.read = 0);
        assert!(reused.contains("something else"), "{reused}");
        let repeated = refused(|readers| {
            readers
                .iter_mut()
                .for_each(|told| told.push(heard(2, 3, 1, 1, 2)))
        });
        assert!(repeated.contains("publisher's number"), "{repeated}");
        let invented = refused(|readers| readers[0][0].said.read = 9);
        assert!(invented.contains("had read 9 messages"), "{invented}");
    }
}
