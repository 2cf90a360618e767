//! Every value once: the states of a graph share nearly all of their parts.

use crate::Value;
use ahash::RandomState;
use hashbrown::HashTable;

/// A value in a [`Pool`]; two are equal if their values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(u32);

/// Values by number. A state of a thousand parts costs as much as the part that no state before it had.
pub struct Pool {
    shapes: Vec<Shape>,
    ids: HashTable<u32>,
    hasher: RandomState,
}

/// A value whose parts are numbers.
#[derive(PartialEq, Eq, Hash)]
enum Shape {
    Atom(Value),
    Set(Box<[u32]>),
    Sequence(Box<[u32]>),
    /// Arguments and values in turn; a record's fields are strings.
    Record(Box<[u32]>),
    Function(Box<[u32]>),
}

impl Default for Pool {
    fn default() -> Self {
        Pool {
            shapes: Vec::new(),
            ids: HashTable::new(),
            hasher: RandomState::with_seeds(1, 2, 3, 4),
        }
    }
}

impl Pool {
    /// The number of `value`.
    ///
    /// # Panics
    ///
    /// If there are more than 2^32 values.
    pub fn intern(&mut self, value: &Value) -> ValueId {
        let shape = match value {
            Value::Set(elements) => Shape::Set(self.all(elements)),
            Value::Sequence(elements) => Shape::Sequence(self.all(elements)),
            Value::Record(fields) => {
                let mut parts = Vec::with_capacity(fields.len() * 2);
                for (name, value) in fields {
                    parts.push(self.intern(&Value::string(name.clone())).0);
                    parts.push(self.intern(value).0);
                }
                Shape::Record(parts.into())
            }
            Value::Function(pairs) => {
                let pairs = pairs.iter().flat_map(|(argument, value)| [argument, value]);
                Shape::Function(self.all(pairs))
            }
            atom => Shape::Atom(atom.clone()),
        };
        let hash = self.hasher.hash_one(&shape);
        let (shapes, hasher) = (&self.shapes, &self.hasher);
        let same = |id: &u32| shapes[*id as usize] == shape;
        if let Some(id) = self.ids.find(hash, same) {
            return ValueId(*id);
        }
        let id = u32::try_from(shapes.len()).expect("fewer than 2^32 values");
        let rehash = |id: &u32| hasher.hash_one(&shapes[*id as usize]);
        self.ids.insert_unique(hash, id, rehash);
        self.shapes.push(shape);
        ValueId(id)
    }

    fn all<'v>(&mut self, values: impl IntoIterator<Item = &'v Value>) -> Box<[u32]> {
        values
            .into_iter()
            .map(|value| self.intern(value).0)
            .collect()
    }

    /// The value of a number of this pool.
    pub fn value(&self, id: ValueId) -> Value {
        let parts =
            |ids: &[u32]| -> Vec<Value> { ids.iter().map(|id| self.value(ValueId(*id))).collect() };
        let pairs = |ids: &[u32]| -> Vec<(Value, Value)> {
            let pair = |pair: &[u32]| (self.value(ValueId(pair[0])), self.value(ValueId(pair[1])));
            ids.chunks_exact(2).map(pair).collect()
        };
        match &self.shapes[id.0 as usize] {
            Shape::Atom(value) => value.clone(),
            Shape::Set(ids) => Value::set(parts(ids)),
            Shape::Sequence(ids) => Value::sequence(parts(ids)),
            Shape::Record(ids) | Shape::Function(ids) => Value::function(pairs(ids)),
        }
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.shapes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_number_and_come_back() {
        let text = "(a :> [x |-> {1, 2}, y |-> <<>>] @@ b :> <<{1, 2}, \"x\", TRUE>>)";
        let value: Value = text.parse().unwrap();
        let mut pool = Pool::default();
        let id = pool.intern(&value);
        let parts = pool.len();
        assert_eq!(pool.intern(&value), id);
        assert_eq!(pool.len(), parts);
        assert_eq!(pool.value(id), value);
    }

    #[test]
    fn values_of_different_kinds_differ() {
        let texts = ["{}", "<<>>", "{1}", "<<1>>", "\"a\"", "a", "1", "{<<1>>}"];
        let mut pool = Pool::default();
        let ids: std::collections::BTreeSet<_> = texts
            .iter()
            .map(|text| pool.intern(&text.parse().unwrap()))
            .collect();
        assert_eq!(ids.len(), texts.len());
    }
}
