//! Vector clocks that spans carry in attributes `vc.<process>`.
//!
//! Each process counts its events and sends along what it knows of the others' counts; of two events one
//! happened before the other exactly if its clock is less or equal in every component and less in one.
//! (Fidge 1988, Mattern 1989.) A process that a clock does not name counts as zero in it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use quorate_clocks::compare_entries;
use quorate_trace::wire::{Span, Value};

/// What the attributes' keys begin with.
const PREFIX: &str = "vc.";

/// The count of an attribute `vc.<process>`: a whole number, or a text of one.
pub(crate) fn component<'a>(key: &'a str, value: &Value<'_>) -> Option<(&'a str, u64)> {
    let process = key.strip_prefix(PREFIX).filter(|name| !name.is_empty())?;
    let count = match value {
        Value::Int(count) => u64::try_from(*count).ok()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    Some((process, count))
}

/// The vector clock of a span by process, if it carries one.
pub fn vector_clock(span: &Span<'_>) -> BTreeMap<String, u64> {
    let components = span
        .attributes()
        .filter_map(|(key, value)| component(key, &value).map(|(name, n)| (name.to_owned(), n)));
    components.collect()
}

/// The clocks of many spans, in one array: a trace has a hundred thousand of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct VectorClocks {
    processes: BTreeMap<Box<str>, u32>,
    /// Process and count, of each clock ordered by process.
    components: Vec<(u32, u64)>,
    /// Per span: where its clock is; empty if it has none.
    ranges: Vec<(u32, u32)>,
}

impl VectorClocks {
    /// Adds the clock of the next span.
    pub(crate) fn push(&mut self, span: &Span<'_>) {
        let from = self.components.len();
        let clock = span.attributes().unread();
        for (key, value) in clock.filter(|(key, _)| key.starts_with(PREFIX.as_bytes())) {
            let key = str::from_utf8(key).unwrap_or_default();
            if let Some((process, count)) = component(key, &value.read()) {
                // Zero is what an absent process has.
                if count > 0 {
                    let process = self.process(process);
                    self.components.push((process, count));
                }
            }
        }
        let clock = &mut self.components[from..];
        clock.sort_by_key(|(process, _)| *process);
        // Of a repeated key the last counts, as with every attribute.
        let mut kept = from;
        for at in from..self.components.len() {
            let component = self.components[at];
            if kept > from && self.components[kept - 1].0 == component.0 {
                self.components[kept - 1] = component;
            } else {
                self.components[kept] = component;
                kept += 1;
            }
        }
        self.components.truncate(kept);
        self.ranges.push((from as u32, kept as u32));
    }

    fn process(&mut self, name: &str) -> u32 {
        if let Some(known) = self.processes.get(name) {
            return *known;
        }
        let number = self.processes.len() as u32;
        self.processes.insert(name.into(), number);
        number
    }

    /// Whether the span carries a clock.
    pub(crate) fn has(&self, span: u32) -> bool {
        let (from, to) = self.ranges[span as usize];
        from < to
    }

    /// How two spans' clocks compare; nothing if they are concurrent or one has none.
    pub(crate) fn compare(&self, one: u32, other: u32) -> Option<Ordering> {
        if !self.has(one) || !self.has(other) {
            return None;
        }
        compare_entries(self.clock(one), self.clock(other)).into()
    }

    fn clock(&self, span: u32) -> &[(u32, u64)] {
        let (from, to) = self.ranges[span as usize];
        &self.components[from as usize..to as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks(of: &[&[(u32, u64)]]) -> VectorClocks {
        let mut clocks = VectorClocks::default();
        for clock in of {
            let from = clocks.components.len() as u32;
            clocks.components.extend_from_slice(clock);
            clocks.ranges.push((from, clocks.components.len() as u32));
        }
        clocks
    }

    #[test]
    fn clocks_compare_in_every_component() {
        let clocks = clocks(&[
            &[(0, 1)],
            &[(0, 1), (1, 2)],
            &[(0, 2)],
            &[(1, 1), (2, 1)],
            &[],
            &[(0, 1)],
        ]);
        assert_eq!(clocks.compare(0, 1), Some(Ordering::Less));
        assert_eq!(clocks.compare(1, 0), Some(Ordering::Greater));
        assert_eq!(clocks.compare(0, 5), Some(Ordering::Equal));
        assert_eq!(clocks.compare(1, 2), None, "each is ahead in one");
        assert_eq!(clocks.compare(0, 3), None);
        assert_eq!(clocks.compare(0, 4), None, "no clock, no order");
    }
}
