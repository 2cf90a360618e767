//! What a person reads on a terminal: what each engine looked at, then every property with its verdict,
//! then what failed, step by step.

use crate::matrix::{grouped, rows};
use crate::{Count, Engine, Run};
use quorate_model::Bound;
use std::fmt::{self, Display, Write};

/// Runs as text.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a>(
    /// The runs.
    pub &'a [Run],
);

impl Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut engines: Vec<Engine> = self.0.iter().map(|run| run.engine).collect();
        engines.sort_unstable();
        engines.dedup();
        for engine in engines {
            let of = self.0.iter().filter(|run| run.engine == engine);
            section(f, engine, &of.collect::<Vec<_>>())?;
        }
        properties(f, self.0)?;
        for run in self.0 {
            failures(f, run)?;
        }
        Ok(())
    }
}

fn section(f: &mut fmt::Formatter<'_>, engine: Engine, runs: &[&Run]) -> fmt::Result {
    writeln!(f, "{}: {}\n", engine.text(), engine.about())?;
    let mut cells = vec![header(runs)];
    let mut memory = Memory::default();
    cells.extend(runs.iter().map(|run| row(run, &mut memory)));
    let notes = runs.iter().map(|run| {
        let mut notes = Vec::new();
        if !run.within.is_empty() {
            notes.push(format!("  within {}", bounds(&run.within)));
        }
        if !run.assumed.is_empty() {
            notes.push(format!("  assuming {}", run.assumed.join("; ")));
        }
        (!notes.is_empty()).then(|| notes.join("\n"))
    });
    let notes: Vec<_> = std::iter::once(None).chain(notes).collect();
    write_cells(f, &cells, &notes)?;
    f.write_char('\n')
}

fn header(runs: &[&Run]) -> Vec<String> {
    let first = runs.first();
    let counts = first.map(|run| run.counts.iter().map(|count| count.name.as_str()));
    let mut header = vec!["configuration"];
    header.extend(counts.into_iter().flatten());
    header.push("seconds");
    if first.is_some_and(|run| run.engine == Engine::Safety) {
        header.extend(["states/s", "bytes/unique"]);
    }
    header.push("verdict");
    header.into_iter().map(str::to_owned).collect()
}

fn row(run: &Run, memory: &mut Memory) -> Vec<String> {
    let mut row = vec![run.title()];
    row.extend(run.counts.iter().map(|Count { value, .. }| grouped(*value)));
    row.push(format!("{:.1}", run.seconds));
    if run.engine == Engine::Safety {
        let states = run.count("states").unwrap_or(0) as f64;
        row.push(grouped((states / run.seconds.max(1e-6)) as u64));
        let bytes = memory.bytes_per_state(run);
        row.push(bytes.map_or_else(|| "-".to_owned(), grouped));
    }
    row.push(run.summary());
    row
}

/// Memory is the process's, and what one search has freed the next one uses: only a search that was larger
/// and needed more than all before it tells something, and what it needed is counted from the very beginning.
#[derive(Default)]
struct Memory {
    baseline: Option<u64>,
    highest: u64,
    largest: u64,
}

impl Memory {
    fn bytes_per_state(&mut self, run: &Run) -> Option<u64> {
        let baseline = *self.baseline.get_or_insert(run.initial_rss_bytes?);
        let (peak, size) = (run.peak_rss_bytes?, run.count(run.engine.unit())?);
        if peak <= self.highest || size <= self.largest {
            return None;
        }
        (self.highest, self.largest) = (peak, size);
        peak.checked_sub(baseline)?.checked_div(size)
    }
}

/// Bounds in a line.
pub(crate) fn bounds(bounds: &[Bound]) -> String {
    let each = bounds.iter().map(|b| format!("{}: {}", b.name, b.limit));
    each.collect::<Vec<_>>().join(", ")
}

/// One line for each property of each protocol and engine.
fn properties(f: &mut fmt::Formatter<'_>, runs: &[Run]) -> fmt::Result {
    let head = [
        "protocol",
        "property",
        "engine",
        "looked at",
        "seconds",
        "verdict",
    ];
    let mut cells = vec![head.map(str::to_owned).to_vec()];
    let mut protocol = "";
    for row in rows(runs) {
        let named = std::mem::replace(&mut protocol, row.protocol) != row.protocol;
        cells.push(vec![
            if named { row.protocol } else { "" }.to_owned(),
            row.property.to_owned(),
            row.engine.text().to_owned(),
            format!("{} {}", grouped(row.size), row.engine.unit()),
            format!("{:.1}", row.seconds),
            row.verdict(),
        ]);
    }
    write_cells(f, &cells, &vec![None; cells.len()])
}

/// Names to the left, numbers to the right, each line followed by its note.
fn write_cells(
    f: &mut fmt::Formatter<'_>,
    cells: &[Vec<String>],
    notes: &[Option<String>],
) -> fmt::Result {
    let columns = cells.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = cells.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let is_number = |cell: &str| cell.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    for (row, note) in cells.iter().zip(notes) {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let below = cells.last().and_then(|last| last.get(column));
            match column {
                0 => write!(line, "{cell:<width$}")?,
                _ if below.is_some_and(|cell| is_number(cell)) => write!(line, "  {cell:>width$}")?,
                _ => write!(line, "  {cell:<width$}")?,
            }
        }
        writeln!(f, "{}", line.trim_end())?;
        if let Some(note) = note {
            writeln!(f, "{note}")?;
        }
    }
    Ok(())
}

fn failures(f: &mut fmt::Formatter<'_>, run: &Run) -> fmt::Result {
    for finding in run.findings.iter().filter(|one| one.has_failed()) {
        let verdict = finding.verdict.text().to_uppercase();
        writeln!(f, "\n{verdict} in {}: {}", run.title(), finding.property)?;
        if let Some(evidence) = &finding.evidence {
            write!(f, "{}", evidence.text())?;
        }
    }
    Ok(())
}
