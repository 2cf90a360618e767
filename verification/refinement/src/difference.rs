//! Where two values differ.

use crate::Value;
use std::collections::BTreeSet;
use std::fmt;

/// A part of two values in which they differ; `None` where one has nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which part: `node[a].log[2].term`.
    pub path: String,
    /// What it is in the first.
    pub before: Option<Value>,
    /// What it is in the second.
    pub after: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "{}: {before} → {after}", self.path),
            (Some(gone), None) => write!(f, "{}: without {gone}", self.path),
            (None, Some(new)) => write!(f, "{}: with {new}", self.path),
            (None, None) => f.write_str(&self.path),
        }
    }
}

/// All differences of two values, in the order of their parts.
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(before), Some(after), &mut found);
    found
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Record(before)), Some(Value::Record(after))) => {
            let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
            for name in names {
                let dot = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{dot}{name}");
                compare(&path, before.get(name), after.get(name), found);
            }
        }
        (Some(Value::Function(before)), Some(Value::Function(after))) => {
            let arguments: BTreeSet<_> = before.keys().chain(after.keys()).collect();
            for argument in arguments {
                let path = format!("{path}[{argument}]");
                compare(&path, before.get(argument), after.get(argument), found);
            }
        }
        (Some(Value::Sequence(before)), Some(Value::Sequence(after))) => {
            for index in 0..before.len().max(after.len()) {
                let path = format!("{path}[{}]", index + 1);
                compare(&path, before.get(index), after.get(index), found);
            }
        }
        (Some(Value::Set(before)), Some(Value::Set(after))) => {
            let one = |value: &Value, is_new: bool| Difference {
                path: path.to_owned(),
                before: (!is_new).then(|| value.clone()),
                after: is_new.then(|| value.clone()),
            };
            found.extend(before.difference(after).map(|gone| one(gone, false)));
            found.extend(after.difference(before).map(|new| one(new, true)));
        }
        _ => found.push(Difference {
            path: path.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let before = "[node |-> (a :> [log |-> <<1>>, up |-> TRUE] @@ b :> 1), net |-> {1, 2}]";
        let after = "[node |-> (a :> [log |-> <<1, 5>>, up |-> TRUE] @@ b :> 2), net |-> {2, 3}]";
        let found = differences(&before.parse().unwrap(), &after.parse().unwrap());
        let told: Vec<String> = found.iter().map(Difference::to_string).collect();
        let expected = [
            "net: without 1",
            "net: with 3",
            "node[a].log[2]: with 5",
            "node[b]: 1 → 2",
        ];
        assert_eq!(told, expected);
    }
}
