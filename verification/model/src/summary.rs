//! What a person reads at the end of a check: a table, the properties, the counterexamples.

use crate::protocol::Bound;
use crate::report::{PropertyReport, Report, Stop, Verdict};
use std::fmt::{self, Display, Write as _};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Reports as text: a row for each configuration with its bounds below it, the verdict on each property
/// over all configurations, then every counterexample step by step.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a>(
    /// The reports, one for each configuration.
    pub &'a [Report],
);

impl Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        table(f, self.0)?;
        properties(f, self.0)?;
        for report in self.0 {
            for violation in report.violations() {
                counterexample(f, report, violation)?;
            }
        }
        Ok(())
    }
}

const COLUMNS: [&str; 8] = [
    "configuration",
    "states",
    "unique",
    "depth",
    "seconds",
    "states/s",
    "bytes/unique",
    "verdict",
];

fn table(f: &mut fmt::Formatter<'_>, reports: &[Report]) -> fmt::Result {
    let mut highest = 0;
    let baseline = reports.first().and_then(|first| first.initial_rss_bytes);
    let rows: Vec<[String; 8]> = reports
        .iter()
        .map(|report| {
            let memory = bytes_per_unique(report, baseline, &mut highest);
            row(report, memory)
        })
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.fold(COLUMNS[column].len(), usize::max)
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    line(f, &COLUMNS, &widths)?;
    for (report, row) in reports.iter().zip(&rows) {
        line(f, row, &widths)?;
        writeln!(f, "  within {}", bounds(&report.bounds))?;
    }
    Ok(())
}

/// Names to the left, numbers to the right.
fn line(f: &mut fmt::Formatter<'_>, cells: &[impl AsRef<str>], widths: &[usize]) -> fmt::Result {
    let last = cells.len() - 1;
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = cell.as_ref();
        match column {
            0 => write!(f, "{cell:<width$}")?,
            _ if column == last => write!(f, "  {cell}")?,
            _ => write!(f, "  {cell:>width$}")?,
        }
    }
    f.write_char('\n')
}

fn row(report: &Report, bytes_per_unique: Option<u64>) -> [String; 8] {
    [
        report.protocol.clone(),
        grouped(report.states as u64),
        grouped(report.unique as u64),
        report.depth.to_string(),
        format!("{:.1}", report.seconds),
        grouped(report.rate() as u64),
        bytes_per_unique.map_or_else(|| "-".to_owned(), grouped),
        verdict(report),
    ]
}

/// Memory is the process's, and what one search has freed the next one uses: only a search that needed
/// more than all before it tells something, and what it needed is counted from the very beginning.
fn bytes_per_unique(report: &Report, baseline: Option<u64>, highest: &mut u64) -> Option<u64> {
    let peak = report.peak_rss_bytes?;
    if peak <= *highest {
        return None;
    }
    *highest = peak;
    let added = peak.checked_sub(baseline?)?;
    added.checked_div(report.unique as u64)
}

fn verdict(report: &Report) -> String {
    let named = |verdict: Verdict| {
        let properties = report.properties.iter();
        let count = properties.filter(|p| p.verdict == verdict).count();
        (count > 0).then(|| format!("{count} {}", verdict.text()))
    };
    match report.stopped {
        None if report.passed() => "passed".to_owned(),
        Some(Stop::Violation) if report.passed() => Verdict::Refuted.text().to_owned(),
        Some(stop) if stop != Stop::Violation => format!("undecided: {}", stop.text()),
        _ => {
            let failures = [Verdict::Violated, Verdict::NotFound, Verdict::Survived].map(named);
            let failures: Vec<_> = failures.into_iter().flatten().collect();
            format!("FAILED: {}", failures.join(", "))
        }
    }
}

/// Bounds in a line.
pub(crate) fn bounds(bounds: &[Bound]) -> String {
    let each = bounds.iter().map(|b| format!("{}: {}", b.name, b.limit));
    each.collect::<Vec<_>>().join(", ")
}

/// One line for each property, in the order in which they first appear.
fn properties(f: &mut fmt::Formatter<'_>, reports: &[Report]) -> fmt::Result {
    let mut names: Vec<&str> = Vec::new();
    for property in reports.iter().flat_map(|report| &report.properties) {
        if !names.contains(&property.name.as_str()) {
            names.push(&property.name);
        }
    }
    let width = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    writeln!(f)?;
    for name in names {
        writeln!(f, "{name:<width$}  {}", over_all(reports, name))?;
    }
    Ok(())
}

/// The verdicts on one property: how many configurations agree, and by name those where it fails or is
/// open.
fn over_all(reports: &[Report], name: &str) -> String {
    let of = |report: &Report| report.property(name).map(|property| property.verdict);
    let having = reports.iter().filter_map(of).count();
    let mut parts = Vec::new();
    for verdict in [Verdict::Holds, Verdict::Found, Verdict::Refuted] {
        let count = reports.iter().filter(|r| of(r) == Some(verdict)).count();
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
        let at = reports.iter().filter(|r| of(r) == Some(verdict));
        let at: Vec<_> = at.map(|report| report.protocol.as_str()).collect();
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

fn counterexample(
    f: &mut fmt::Formatter<'_>,
    report: &Report,
    property: &PropertyReport,
) -> fmt::Result {
    writeln!(f, "\nVIOLATED in {}: {}", report.protocol, property.name)?;
    match &property.trace {
        Some(trace) => write!(f, "{trace}"),
        None => Ok(()),
    }
}

/// Writes a sequence diagram of every counterexample into `directory`; returns the files.
///
/// # Errors
///
/// If the directory cannot be made or a file not written.
pub fn write_diagrams(reports: &[Report], directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for report in reports {
        for violation in report.violations() {
            let Some(trace) = &violation.trace else {
                continue;
            };
            let name = format!("{}--{}.svg", slug(&report.protocol), slug(&violation.name));
            let file = directory.join(name);
            fs::create_dir_all(directory)?;
            fs::write(&file, trace.to_svg())?;
            files.push(file);
        }
    }
    Ok(files)
}

/// `name` as a part of a file's name.
fn slug(name: &str) -> String {
    let parts = name.split(|c: char| !c.is_ascii_alphanumeric());
    let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("-").to_lowercase()
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
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

    #[test]
    fn names_become_file_names() {
        let name = "a released message is backed by its sender's disk";
        assert_eq!(
            slug(name),
            "a-released-message-is-backed-by-its-sender-s-disk"
        );
        assert_eq!(slug("raft: elections"), "raft-elections");
    }
}
