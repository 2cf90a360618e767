//! What the spans that pass say about services: rates, errors and durations per operation
//! ([`SpanMetrics`]), and who calls whom ([`ServiceGraph`]).
//!
//! Both are fed with the spans of each trace as it is sealed, hold a bounded number of names of bounded length,
//! and begin anew with the process, as Prometheus's counters do. Their names in Prometheus are those of Tempo's
//! metrics generator, so that Grafana's service graph finds them.

mod histogram;
mod service_graph;
mod span_metrics;

use std::fmt;

pub use service_graph::{GraphEdge, GraphNode, Link, ServiceGraph, ServiceGraphReport};
pub use span_metrics::{OperationMetrics, SpanMetrics};

/// What stands for services, operations or edges beyond the limit, and for names that are too long.
pub const OTHER: &str = "(other)";

/// The longest name that is told apart from others, in bytes.
const NAME_BYTES_MAX: usize = 512;

fn bounded(name: &str) -> &str {
    if name.len() > NAME_BYTES_MAX {
        OTHER
    } else {
        name
    }
}

/// A label's value in Prometheus's text format.
struct Label<'a>(&'a str);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
