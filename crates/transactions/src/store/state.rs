//! What the embedded store knows: a fold of its records.
//!
//! ```text
//! recent changes ─► changes under way to the files ─► files
//! ```
//!
//! A key is looked up from left to right. What was prepared is resolved: each key with what it will hold. It cannot
//! change before the transaction's end, since the key is locked, so nothing is computed a second time.

use crate::{Action, Operation, TransactionId, Work, proto};
use bytes::Bytes;
use fjall::Keyspace;
use quorate_commit::{Decision, TxnId};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// How many of the last outcomes are known by the callers' names.
const OUTCOMES_MAX: usize = 16 << 10;

/// A transaction that is prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    pub(crate) id: TransactionId,
    /// What becomes of each key that it has locked.
    pub(crate) locks: BTreeMap<Bytes, Fate>,
}

/// What a transaction does to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was only looked at.
    Kept,
    /// This value, or none.
    Written(Option<Bytes>),
}

/// One durable change of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Prepared(TxnId, Prepared),
    Decided(TxnId, Decision),
}

pub(crate) type Changes = BTreeMap<Bytes, Option<Bytes>>;

/// The store's state.
pub(crate) struct State {
    pub(crate) files: Keyspace,
    /// Committed, and not in the files.
    pub(crate) recent: Changes,
    pub(crate) recent_bytes: usize,
    /// Committed, and being written to the files.
    pub(crate) leaving: Changes,
    pub(crate) prepared: BTreeMap<TxnId, Prepared>,
    locks: HashMap<Bytes, TxnId>,
    outcomes: Outcomes,
}

/// The last outcomes, by the callers' names.
#[derive(Default)]
struct Outcomes {
    by_id: HashMap<TransactionId, Decision>,
    order: VecDeque<TransactionId>,
}

impl Outcomes {
    fn note(&mut self, id: TransactionId, decision: Decision) {
        let known = self.by_id.get(&id).copied();
        if known == Some(Decision::Commit) {
            return; // a request that was tried again after it had been aborted
        }
        self.by_id.insert(id, decision);
        if known.is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > OUTCOMES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }
}

impl State {
    /// A state with what the files hold.
    pub(crate) fn new(files: Keyspace) -> Self {
        State {
            files,
            recent: Changes::new(),
            recent_bytes: 0,
            leaving: Changes::new(),
            prepared: BTreeMap::new(),
            locks: HashMap::new(),
            outcomes: Outcomes::default(),
        }
    }

    /// The value of `key` that was committed last.
    pub(crate) fn get(&self, key: &Bytes) -> Result<Option<Bytes>, fjall::Error> {
        match self.recent.get(key).or_else(|| self.leaving.get(key)) {
            Some(value) => Ok(value.clone()),
            None => Ok(self
                .files
                .get(key)?
                .map(|value| Bytes::copy_from_slice(&value))),
        }
    }

    /// Who has locked `key`.
    pub(crate) fn locked_by(&self, key: &Bytes) -> Option<TransactionId> {
        let txn = self.locks.get(key)?;
        self.prepared.get(txn).map(|prepared| prepared.id)
    }

    /// What this store knows of a transaction by its caller's name: its outcome, or that it is open.
    pub(crate) fn standing(&self, id: TransactionId) -> Option<Option<Decision>> {
        if self.prepared.values().any(|prepared| prepared.id == id) {
            return Some(None);
        }
        self.outcomes.by_id.get(&id).map(|decision| Some(*decision))
    }

    /// What `work` would do.
    pub(crate) fn resolve(&self, work: &Work) -> Result<Prepared, Refused> {
        let mut locks = BTreeMap::<Bytes, Fate>::new();
        for Operation { key, action } in &work.operations {
            if let Some(other) = self.locked_by(key) {
                let key = key.clone();
                return Err(Refused::Locked { key, other });
            }
            let now = match locks.get(key) {
                Some(Fate::Written(value)) => value.clone(),
                Some(Fate::Kept) | None => self.get(key).map_err(Refused::Files)?,
            };
            match after(key, now, action)? {
                Some(written) => {
                    locks.insert(key.clone(), Fate::Written(written));
                }
                None => {
                    locks.entry(key.clone()).or_insert(Fate::Kept);
                }
            }
        }
        Ok(Prepared { id: work.id, locks })
    }

    /// Takes over one change.
    pub(crate) fn fold(&mut self, record: Record) {
        match record {
            Record::Prepared(txn, prepared) => {
                for key in prepared.locks.keys() {
                    self.locks.insert(key.clone(), txn);
                }
                self.prepared.insert(txn, prepared);
            }
            Record::Decided(txn, decision) => {
                let Some(prepared) = self.prepared.remove(&txn) else {
                    return;
                };
                self.outcomes.note(prepared.id, decision);
                for (key, fate) in prepared.locks {
                    self.locks.remove(&key);
                    if let (Decision::Commit, Fate::Written(value)) = (decision, fate) {
                        self.recent_bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
                        self.recent.insert(key, value);
                    }
                }
            }
        }
    }
}

/// What `action` makes of a key that holds `now`: nothing new, or a value or none.
fn after(
    key: &Bytes,
    now: Option<Bytes>,
    action: &Action,
) -> Result<Option<Option<Bytes>>, Refused> {
    match action {
        Action::Put(value) => Ok(Some(Some(value.clone()))),
        Action::Delete => Ok(Some(None)),
        Action::Add(amount) => {
            let number = match &now {
                None => 0,
                Some(text) => number(text).ok_or_else(|| Refused::NotANumber(key.clone()))?,
            };
            match number.checked_add(*amount) {
                Some(sum) if sum >= 0 => Ok(Some(Some(sum.to_string().into()))),
                Some(_) => Err(Refused::BelowZero {
                    key: key.clone(),
                    number,
                    amount: *amount,
                }),
                None => Err(Refused::TooLarge(key.clone())),
            }
        }
        Action::Expect(expected) if now.as_ref() == Some(expected) => Ok(None),
        Action::Absent if now.is_none() => Ok(None),
        Action::Expect(_) | Action::Absent => Err(Refused::Otherwise {
            key: key.clone(),
            now,
        }),
    }
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Why the store votes no.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{} is locked by transaction {other}", text(key))]
    Locked { key: Bytes, other: TransactionId },
    #[error("{} is {number}, and {amount} would take it below zero", text(key))]
    BelowZero {
        key: Bytes,
        number: i64,
        amount: i64,
    },
    #[error("{} would be larger than numbers are here", text(.0))]
    TooLarge(Bytes),
    #[error("{} is not a number", text(.0))]
    NotANumber(Bytes),
    #[error("{} {}", text(key), held(now))]
    Otherwise { key: Bytes, now: Option<Bytes> },
    #[error("its files cannot be read: {0}")]
    Files(fjall::Error),
}

fn text(key: &Bytes) -> String {
    String::from_utf8_lossy(key).into_owned()
}

fn held(now: &Option<Bytes>) -> String {
    match now {
        None => "does not exist".to_owned(),
        Some(value) => format!("is {}", text(value)),
    }
}

impl From<&Record> for proto::Record {
    fn from(record: &Record) -> Self {
        use proto::record::Kind;
        let (txn, kind) = match record {
            Record::Prepared(txn, prepared) => (txn, Kind::Prepared(prepared.into())),
            Record::Decided(txn, Decision::Commit) => (txn, Kind::Committed(proto::Nothing {})),
            Record::Decided(txn, Decision::Abort) => (txn, Kind::Aborted(proto::Nothing {})),
        };
        proto::Record {
            txn: Some((*txn).into()),
            kind: Some(kind),
        }
    }
}

impl From<&Prepared> for proto::Prepared {
    fn from(prepared: &Prepared) -> Self {
        let locks = prepared.locks.iter().map(|(key, fate)| proto::Lock {
            key: key.clone(),
            write: match fate {
                Fate::Kept => None,
                Fate::Written(value) => Some(proto::Write {
                    value: value.clone(),
                }),
            },
        });
        proto::Prepared {
            id: Some(prepared.id.into()),
            locks: locks.collect(),
        }
    }
}

impl Record {
    /// The record, unless a part is missing.
    pub(crate) fn from_proto(record: proto::Record) -> Option<Self> {
        use proto::record::Kind;
        let txn = record.txn?.into();
        Some(match record.kind? {
            Kind::Committed(_) => Record::Decided(txn, Decision::Commit),
            Kind::Aborted(_) => Record::Decided(txn, Decision::Abort),
            Kind::Prepared(prepared) => {
                let locks = prepared.locks.into_iter().map(|lock| {
                    let fate = match lock.write {
                        None => Fate::Kept,
                        Some(write) => Fate::Written(write.value),
                    };
                    (lock.key, fate)
                });
                let prepared = Prepared {
                    id: prepared.id?.into(),
                    locks: locks.collect(),
                };
                Record::Prepared(txn, prepared)
            }
        })
    }
}

#[cfg(test)]
mod tests;
