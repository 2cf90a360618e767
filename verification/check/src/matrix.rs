//! Protocol × property × engine: the verdicts of all configurations put together.

use crate::{Engine, Finding, Run};
use quorate_model::Verdict;

/// One property of one protocol, as one engine sees it in all configurations that have it.
pub(crate) struct Row<'a> {
    pub(crate) protocol: &'a str,
    pub(crate) property: &'a str,
    pub(crate) engine: Engine,
    /// Configuration and verdict.
    pub(crate) verdicts: Vec<(&'a str, Verdict)>,
    /// What was looked at in all of them, in the engine's unit.
    pub(crate) size: u64,
    /// How long that took.
    pub(crate) seconds: f64,
}

/// The rows, in the order in which their properties first appear.
pub(crate) fn rows(runs: &[Run]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for run in runs {
        for finding in &run.findings {
            let row = row(&mut rows, run, finding);
            row.verdicts.push((&run.part, finding.verdict));
            row.size += run.count(run.engine.unit()).unwrap_or(0);
            row.seconds += run.seconds;
        }
    }
    rows
}

fn row<'a, 'r>(rows: &'r mut Vec<Row<'a>>, run: &'a Run, finding: &'a Finding) -> &'r mut Row<'a> {
    let known = rows.iter().position(|row| {
        row.engine == run.engine && row.protocol == run.protocol && row.property == finding.property
    });
    let at = known.unwrap_or_else(|| {
        rows.push(Row {
            protocol: &run.protocol,
            property: &finding.property,
            engine: run.engine,
            verdicts: Vec::new(),
            size: 0,
            seconds: 0.0,
        });
        rows.len() - 1
    });
    &mut rows[at]
}

impl Row<'_> {
    /// How many configurations agree, and by name those where it fails or is open.
    pub(crate) fn verdict(&self) -> String {
        let having = self.verdicts.len();
        let mut parts = Vec::new();
        for verdict in [Verdict::Holds, Verdict::Found, Verdict::Refuted] {
            let count = self.at(verdict).count();
            if count > 0 {
                parts.push(match having {
                    1 => verdict.text().to_owned(),
                    _ => format!("{} in {count} of {having}", verdict.text()),
                });
            }
        }
        for verdict in [
            Verdict::Violated,
            Verdict::NotFound,
            Verdict::Survived,
            Verdict::Undecided,
        ] {
            let at: Vec<&str> = self.at(verdict).collect();
            if verdict == Verdict::Undecided && at.len() > 1 {
                parts.push(format!("undecided in {} of {having}", at.len()));
            } else if !at.is_empty() {
                let text = match verdict {
                    Verdict::Undecided => verdict.text().to_owned(),
                    failure => failure.text().to_uppercase(),
                };
                parts.push(format!("{text} in {}", at.join(", ")));
            }
        }
        parts.join("; ")
    }

    /// Whether all is as it should be.
    pub(crate) fn passed(&self) -> bool {
        let mut verdicts = self.verdicts.iter();
        verdicts.all(|(_, verdict)| verdict.is_as_it_should_be())
    }

    /// Whether it is something that had to be reached, and was everywhere.
    pub(crate) fn is_reached(&self) -> bool {
        let mut verdicts = self.verdicts.iter();
        verdicts.all(|(_, verdict)| *verdict == Verdict::Found)
    }

    fn at(&self, wanted: Verdict) -> impl Iterator<Item = &str> {
        let all = self.verdicts.iter();
        all.filter(move |(_, verdict)| *verdict == wanted)
            .map(|(part, _)| *part)
    }
}

/// Digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_from_the_right() {
        let texts = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1 000", "1 234 567"]);
    }
}
