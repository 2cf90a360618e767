//! Which services and operations there are.
//!
//! All in memory, and on the disk to be there after a restart. A name stays until the last partition in
//! which it was used is removed.
//!
//! ```text
//! key:    service, zero, kind, operation          value: the partition, 4 bytes big-endian
//! ```

use fjall::{Keyspace, OwnedWriteBatch};
use quorate_trace::wire::SpanKind;
use std::collections::{BTreeMap, HashMap};

use crate::{Fragment, StoreError, Summary};

/// Names that are kept: services, operations of one of them, and operations of all. A service that puts
/// identifiers into the names of its spans must not fill the memory; what is beyond is found by a search but not
/// listed.
const SERVICES_MAX: usize = 10_000;
const OPERATIONS_MAX: usize = 2_000;
const NAMES_MAX: usize = 50_000;
/// The longest name that is listed, in bytes: with all names there are, some 60 MB.
const NAME_BYTES_MAX: usize = 512;

/// The names, and in which partition each was last used as which kind; 0 for never.
#[derive(Debug, Default)]
pub(crate) struct Names {
    services: BTreeMap<String, HashMap<String, [u32; KINDS]>>,
    /// Operations of all services.
    count: usize,
}

/// Numbers of OTLP.
const KINDS: usize = SpanKind::Consumer as usize + 1;

/// A name that was not known, or not as used so recently.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Used {
    service: String,
    operation: String,
    kind: u8,
    partition: u32,
}

impl Names {
    pub(crate) fn open(keyspace: &Keyspace) -> Result<Names, StoreError> {
        let mut names = Names::default();
        for item in keyspace.iter() {
            let (key, value) = item.into_inner()?;
            let partition = value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
            let (Some(used), Some(partition)) = (parse(&key), partition) else {
                return Err(StoreError::damaged(
                    "the name of an operation cannot be read",
                ));
            };
            names.add(Used { partition, ..used });
        }
        Ok(names)
    }

    /// What a fragment says that is not known yet.
    pub(crate) fn news(&self, fragment: &Fragment, partition: u32, news: &mut Vec<Used>) {
        let services = fragment.summary.services.iter();
        for summary in services.take(Summary::SERVICES_MAX) {
            let known = self.services.get(&summary.service);
            let is_full = known.is_none() && self.services.len() >= SERVICES_MAX;
            if is_full || summary.service.len() > NAME_BYTES_MAX {
                continue;
            }
            let operations = summary.operations.iter();
            for (operation, kind) in operations.take(Summary::OPERATIONS_MAX) {
                let is_known = known.is_some_and(|known| match known.get(operation) {
                    Some(last) => last[*kind as usize] >= partition,
                    None => known.len() >= OPERATIONS_MAX,
                });
                let is_new = known.is_none_or(|known| !known.contains_key(operation));
                let is_full = is_new && self.count + news.len() >= NAMES_MAX;
                if is_known || is_full || operation.len() > NAME_BYTES_MAX {
                    continue;
                }
                let used = || Used {
                    service: summary.service.clone(),
                    operation: operation.clone(),
                    kind: *kind as u8,
                    partition,
                };
                if !news.iter().any(|other| *other == used()) {
                    news.push(used());
                }
            }
        }
    }

    pub(crate) fn add(&mut self, used: Used) {
        let operations = self.services.entry(used.service).or_default();
        let before = operations.len();
        let last = operations.entry(used.operation).or_default();
        if let Some(last) = last.get_mut(used.kind as usize) {
            *last = used.partition.max(*last);
        }
        self.count += operations.len() - before;
    }

    /// Forgets the names that were last used before partition `oldest`.
    pub(crate) fn expire(&mut self, oldest: u32, batch: &mut OwnedWriteBatch, keyspace: &Keyspace) {
        self.services.retain(|service, operations| {
            operations.retain(|operation, last| {
                for (kind, last) in (0..).zip(last.iter_mut()) {
                    if (1..oldest).contains(last) {
                        batch.remove(keyspace, key(service, kind, operation));
                        *last = 0;
                    }
                }
                last.iter().any(|last| *last > 0)
            });
            !operations.is_empty()
        });
        self.count = self.services.values().map(HashMap::len).sum();
    }

    /// How many there are, of all services.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn services(&self) -> Vec<String> {
        self.services.keys().cloned().collect()
    }

    pub(crate) fn operations(
        &self,
        service: &str,
        kind: Option<SpanKind>,
    ) -> Vec<(String, SpanKind)> {
        let mut found = Vec::new();
        for (name, last) in self.services.get(service).into_iter().flatten() {
            let used = (0..).zip(last).filter(|(_, last)| **last > 0);
            let kinds = used.map(|(number, _)| SpanKind::from_number(number));
            let wanted = kinds.filter(|used| kind.is_none_or(|kind| kind == *used));
            found.extend(wanted.map(|kind| (name.clone(), kind)));
        }
        found.sort();
        found
    }
}

impl Used {
    pub(crate) fn write(&self, batch: &mut OwnedWriteBatch, keyspace: &Keyspace) {
        let key = key(&self.service, self.kind, &self.operation);
        batch.insert(keyspace, key, self.partition.to_be_bytes());
    }
}

/// The longest key of the tree, less what is not text.
const KEY_BYTES_MAX: usize = 60_000;

/// Texts that are too long for a key share a key with others that begin alike.
fn key(service: &str, kind: u8, operation: &str) -> Vec<u8> {
    let service = &service.as_bytes()[..service.len().min(KEY_BYTES_MAX / 2)];
    let operation = &operation.as_bytes()[..operation.len().min(KEY_BYTES_MAX / 2)];
    [service, &[0, kind], operation].concat()
}

/// The name of this key, of no partition.
fn parse(key: &[u8]) -> Option<Used> {
    let end = key.iter().position(|byte| *byte == 0)?;
    let (service, rest) = key.split_at(end);
    let (kind, operation) = rest.get(1..)?.split_first()?;
    Some(Used {
        service: String::from_utf8_lossy(service).into_owned(),
        operation: String::from_utf8_lossy(operation).into_owned(),
        kind: *kind,
        partition: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(service: usize, operation: usize) -> Used {
        Used {
            service: format!("service {service}"),
            operation: format!("operation {operation}"),
            kind: 0,
            partition: 1,
        }
    }

    #[test]
    fn names_are_counted_as_they_come_and_go() {
        let mut names = Names::default();
        for (service, operation) in [(1, 1), (1, 2), (1, 1), (2, 1)] {
            names.add(used(service, operation));
        }
        assert_eq!(names.len(), 3);
        let temp = tempfile::tempdir().unwrap();
        let db = fjall::Database::builder(temp.path()).open().unwrap();
        let options = fjall::KeyspaceCreateOptions::default;
        let keyspace = db.keyspace("names", options).unwrap();
        names.add(Used {
            partition: 2,
            ..used(2, 1)
        });
        names.expire(2, &mut db.batch(), &keyspace);
        assert_eq!(names.len(), 1);
        assert_eq!(names.services(), ["service 2"]);
    }
}
