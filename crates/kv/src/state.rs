//! The replicated map.

use bytes::Bytes;
use quorate_raft::{Index, StateMachine};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Keys are at most so long.
pub const KEY_BYTES_MAX: usize = 4 << 10;
/// Values are at most so long.
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// A range returns at most so many items ...
pub const RANGE_ITEMS_MAX: usize = 10_000;
/// ... and stops once their keys and values exceed so many bytes.
pub const RANGE_BYTES_MAX: usize = 2 << 20;

/// A value and the write that set it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Item {
    /// The key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
    /// The index in the log of the write that set it: grows with every write.
    pub revision: u64,
}

/// What a compare-and-swap expects the key to hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expected {
    /// Nothing.
    Absent,
    /// This value.
    Value(Bytes),
    /// A value set by this write.
    Revision(u64),
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Sets a key.
    Put {
        /// The key.
        key: Bytes,
        /// Its new value.
        value: Bytes,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: Bytes,
    },
    /// Sets a key if it holds what is expected.
    CompareAndSwap {
        /// The key.
        key: Bytes,
        /// What it must hold.
        expected: Expected,
        /// Its new value.
        new: Bytes,
    },
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Query {
    /// One key.
    Get {
        /// The key.
        key: Bytes,
    },
    /// The keys from `start` to before `end`, in order.
    Range {
        /// The first key.
        start: Bytes,
        /// The first key that is no longer wanted; empty: none.
        end: Bytes,
        /// At most so many.
        limit: usize,
    },
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Response {
    /// A put or delete was applied.
    Written {
        /// Its revision; 0 if it changed nothing.
        revision: u64,
        /// Whether the key existed before.
        existed: bool,
    },
    /// A compare-and-swap was decided.
    Swapped {
        /// Its revision if it matched.
        revision: Option<u64>,
        /// If it did not match: what the key holds.
        current: Option<Item>,
    },
    /// The item of a get.
    Got(Option<Item>),
    /// The items of a range.
    Items {
        /// In order of their keys.
        items: Vec<Item>,
        /// Whether there are more.
        more: bool,
    },
}

/// The replicated map: [`StateMachine`] of the key-value store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Map {
    items: BTreeMap<Bytes, (Bytes, u64)>,
}

impl Map {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    fn get(&self, key: &Bytes) -> Option<Item> {
        self.items.get(key).map(|entry| item(key, entry))
    }

    fn swap(&mut self, index: Index, key: &Bytes, expected: &Expected, new: &Bytes) -> Response {
        let current = self.items.get(key);
        let matches = match (expected, current) {
            (Expected::Absent, None) => true,
            (Expected::Value(expected), Some((value, _))) => expected == value,
            (Expected::Revision(expected), Some((_, revision))) => expected == revision,
            _ => false,
        };
        if matches {
            self.items.insert(key.clone(), (new.clone(), index.0));
            Response::Swapped {
                revision: Some(index.0),
                current: None,
            }
        } else {
            Response::Swapped {
                revision: None,
                current: current.map(|entry| item(key, entry)),
            }
        }
    }

    fn range(&self, start: &Bytes, end: &Bytes, limit: usize) -> Response {
        let upper = if end.is_empty() {
            Bound::Unbounded
        } else {
            Bound::Excluded(end)
        };
        if !end.is_empty() && start > end {
            let items = Vec::new();
            return Response::Items { items, more: false };
        }
        let limit = limit.min(RANGE_ITEMS_MAX);
        let mut bytes = 0;
        let mut items = Vec::new();
        for (key, entry) in self
            .items
            .range::<Bytes, _>((Bound::Included(start), upper))
        {
            if items.len() == limit || bytes > RANGE_BYTES_MAX {
                return Response::Items { items, more: true };
            }
            bytes += key.len() + entry.0.len();
            items.push(item(key, entry));
        }
        Response::Items { items, more: false }
    }
}

fn item(key: &Bytes, (value, revision): &(Bytes, u64)) -> Item {
    Item {
        key: key.clone(),
        value: value.clone(),
        revision: *revision,
    }
}

impl StateMachine for Map {
    type Command = Command;
    type Query = Query;
    type Response = Response;

    fn apply(&mut self, index: Index, command: &Command) -> Response {
        match command {
            Command::Put { key, value } => {
                let entry = (value.clone(), index.0);
                let existed = self.items.insert(key.clone(), entry).is_some();
                let revision = index.0;
                Response::Written { revision, existed }
            }
            Command::Delete { key } => {
                let existed = self.items.remove(key).is_some();
                let revision = if existed { index.0 } else { 0 };
                Response::Written { revision, existed }
            }
            Command::CompareAndSwap { key, expected, new } => self.swap(index, key, expected, new),
        }
    }

    fn query(&self, query: &Query) -> Response {
        match query {
            Query::Get { key } => Response::Got(self.get(key)),
            Query::Range { start, end, limit } => self.range(start, end, *limit),
        }
    }

    fn size_bytes(command: &Command) -> usize {
        match command {
            Command::Put { key, value } => key.len() + value.len(),
            Command::Delete { key } => key.len(),
            Command::CompareAndSwap { key, expected, new } => {
                let expected = match expected {
                    Expected::Value(value) => value.len(),
                    Expected::Absent | Expected::Revision(_) => 0,
                };
                key.len() + expected + new.len()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn map(keys: &[&'static str]) -> Map {
        let mut map = Map::new();
        for (index, key) in keys.iter().enumerate() {
            let (key, value) = (bytes(key), bytes("v"));
            map.apply(Index(index as u64 + 1), &Command::Put { key, value });
        }
        map
    }

    fn keys(response: Response) -> (Vec<Bytes>, bool) {
        match response {
            Response::Items { items, more } => (items.into_iter().map(|i| i.key).collect(), more),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_swap_happens_only_on_what_was_expected() {
        let mut map = map(&["a"]);
        let mut swap = |index, expected| {
            let (key, new) = (bytes("a"), bytes("w"));
            map.apply(
                Index(index),
                &Command::CompareAndSwap { key, expected, new },
            )
        };
        let refused = swap(2, Expected::Absent);
        assert!(matches!(
            refused,
            Response::Swapped { revision: None, current: Some(item) } if item.revision == 1
        ));
        assert!(matches!(
            swap(3, Expected::Value(bytes("v"))),
            Response::Swapped {
                revision: Some(3),
                ..
            }
        ));
        assert!(matches!(
            swap(4, Expected::Revision(1)),
            Response::Swapped { revision: None, .. }
        ));
        assert!(matches!(
            swap(5, Expected::Revision(3)),
            Response::Swapped {
                revision: Some(5),
                ..
            }
        ));
    }

    #[test]
    fn a_range_excludes_its_end_and_says_when_there_is_more() {
        let map = map(&["a", "b", "c"]);
        let range = |start, end, limit| {
            let (start, end) = (bytes(start), bytes(end));
            keys(map.query(&Query::Range { start, end, limit }))
        };
        assert_eq!(range("a", "c", 10), (vec![bytes("a"), bytes("b")], false));
        assert_eq!(range("b", "", 10), (vec![bytes("b"), bytes("c")], false));
        assert_eq!(range("", "", 2), (vec![bytes("a"), bytes("b")], true));
        assert_eq!(range("c", "a", 2), (vec![], false));
    }

    #[test]
    fn deleting_what_is_not_there_changes_nothing() {
        let mut map = map(&["a"]);
        let key = bytes("b");
        let response = map.apply(Index(2), &Command::Delete { key });
        assert_eq!(
            response,
            Response::Written {
                revision: 0,
                existed: false
            }
        );
        let key = bytes("a");
        let response = map.apply(Index(3), &Command::Delete { key });
        assert_eq!(
            response,
            Response::Written {
                revision: 3,
                existed: true
            }
        );
    }
}
