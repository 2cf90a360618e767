//! What the reports of this crate have in common: severities, problems, and how figures are written.

use std::borrow::Cow;
use std::fmt;

use quorate_trace::SpanId;
use serde::{Deserialize, Serialize, Serializer};

/// How bad something is. Ordered: the worst is the greatest.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something is wrong, and its effect stayed limited.
    #[default]
    Warning,
    /// Somebody who waits for the result of this trace is affected.
    Critical,
}

impl Severity {
    /// Lowercase, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// What can be wrong with the structure or the times of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// No span is without a parent.
    NoRoot,
    /// More than one span is without a parent.
    SeveralRoots,
    /// A span that others name as their parent is not there.
    MissingParent,
    /// Spans are, over others or directly, their own parents.
    Cycle,
    /// The same span arrived more than once.
    Duplicate,
    /// Different spans have the same id.
    DuplicateId,
    /// A span says nothing about when it began.
    NoTime,
    /// A span ends before it begins.
    EndBeforeStart,
    /// A span begins before the one that caused it.
    StartsBeforeParent,
    /// A span ends after the one that waits for it.
    OutlivesParent,
    /// The clocks of two hosts differ.
    ClockSkew,
    /// Links or vector clocks say of two spans that each was before the other.
    Contradiction,
    /// More is wrong than is listed.
    More,
}

/// Something wrong with the structure or the times of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// What.
    pub kind: ProblemKind,
    /// How bad it is.
    pub severity: Severity,
    /// Where; none if it is about the whole trace.
    pub span_id: Option<SpanId>,
    /// One sentence for a person.
    pub message: String,
}

/// Problems of one kind that are listed one by one; of the rest there is the number.
pub const PROBLEMS_PER_KIND_MAX: usize = 50;

/// Collects problems of one kind up to [`PROBLEMS_PER_KIND_MAX`] and counts the rest.
pub(crate) struct Listed<'p> {
    problems: &'p mut Vec<Problem>,
    kind: ProblemKind,
    count: usize,
}

impl<'p> Listed<'p> {
    pub(crate) fn new(problems: &'p mut Vec<Problem>, kind: ProblemKind) -> Self {
        Listed {
            problems,
            kind,
            count: 0,
        }
    }

    pub(crate) fn add(
        &mut self,
        severity: Severity,
        span: SpanId,
        message: impl FnOnce() -> String,
    ) {
        self.count += 1;
        if self.count <= PROBLEMS_PER_KIND_MAX {
            self.problems.push(Problem {
                kind: self.kind,
                severity,
                span_id: Some(span),
                message: message(),
            });
        }
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        if let Some(more) = self.count.checked_sub(PROBLEMS_PER_KIND_MAX + 1) {
            let message = format!(
                "{} more spans have the same problem ({}).",
                more + 1,
                kind_name(self.kind)
            );
            self.problems.push(Problem {
                kind: ProblemKind::More,
                severity: Severity::Info,
                span_id: None,
                message,
            });
        }
    }
}

fn kind_name(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::NoRoot => "no root",
        ProblemKind::SeveralRoots => "several roots",
        ProblemKind::MissingParent => "its parent is missing",
        ProblemKind::Cycle => "a cycle of parents",
        ProblemKind::Duplicate => "arrived more than once",
        ProblemKind::DuplicateId => "its id is taken by another span",
        ProblemKind::NoTime => "no time",
        ProblemKind::EndBeforeStart => "it ends before it begins",
        ProblemKind::StartsBeforeParent => "it begins before its parent",
        ProblemKind::OutlivesParent => "it ends after its parent",
        ProblemKind::ClockSkew => "its clock differs",
        ProblemKind::Contradiction => "its causes contradict each other",
        ProblemKind::More => "more",
    }
}

/// A duration as people write it: three digits and a unit.
pub(crate) struct Nanos(pub(crate) u64);

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 4] = [
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
            (1_000, "µs"),
            (1, "ns"),
        ];
        let nanos = self.0;
        if nanos >= 120_000_000_000 {
            return write!(f, "{:.1} min", nanos as f64 / 60e9);
        }
        let (size, unit) = UNITS
            .into_iter()
            .find(|(size, _)| nanos >= *size)
            .unwrap_or((1, "ns"));
        let value = nanos as f64 / size as f64;
        match value {
            _ if nanos.is_multiple_of(size) => write!(f, "{} {unit}", nanos / size),
            ..10.0 => write!(f, "{value:.2} {unit}"),
            ..100.0 => write!(f, "{value:.1} {unit}"),
            _ => write!(f, "{value:.0} {unit}"),
        }
    }
}

/// Characters of a name or message of a trace that a sentence quotes.
const QUOTED_MAX: usize = 160;

/// A text from a trace, shortened and on one line, to be quoted in a sentence.
pub(crate) fn quoted(text: &str) -> Cow<'_, str> {
    let short = match text.char_indices().nth(QUOTED_MAX) {
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
        None => Cow::Borrowed(text),
    };
    if short.chars().any(char::is_control) {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        return Cow::Owned(short.chars().map(plain).collect());
    }
    short
}

/// "1 span", "2 spans".
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Nanoseconds since 1970 do not fit into the numbers of JavaScript.
pub(crate) fn as_text<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let text = |nanos| Nanos(nanos).to_string();
        assert_eq!(text(0), "0 ns");
        assert_eq!(text(1_500), "1.50 µs");
        assert_eq!(text(12_345_678), "12.3 ms");
        assert_eq!(text(250_000_000), "250 ms");
        assert_eq!(text(5_000_000_000), "5 s");
        assert_eq!(text(150_000_000_000), "2.5 min");
    }

    #[test]
    fn quoted_texts_are_short_and_on_one_line() {
        assert_eq!(quoted("GET /"), "GET /");
        assert_eq!(quoted("a\nb"), "a b");
        assert_eq!(quoted(&"ä".repeat(500)).chars().count(), QUOTED_MAX + 1);
    }
}
