//! The table of properties for a README.

use crate::matrix::{Row, grouped, rows};
use crate::{Engine, Run};
use std::fmt::{self, Display};

/// Runs as a table in Markdown: what must hold has a row each, what must be reachable one for all, and so have
/// the seeded bugs.
#[derive(Clone, Copy, Debug)]
pub struct Markdown<'a>(
    /// The runs.
    pub &'a [Run],
);

impl Display for Markdown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = rows(self.0);
        let (reached, others): (Vec<_>, Vec<_>) = all.into_iter().partition(Row::is_reached);
        let is_bug = |row: &Row<'_>| row.engine == Engine::SeededBugs && row.passed();
        let (bugs, others): (Vec<_>, Vec<_>) = others.into_iter().partition(is_bug);
        writeln!(
            f,
            "| protocol | property | engine | looked at | seconds | verdict |"
        )?;
        writeln!(f, "|---|---|---|--:|--:|---|")?;
        let mut protocols: Vec<&str> = self.0.iter().map(|run| run.protocol.as_str()).collect();
        protocols.dedup();
        for protocol in protocols {
            for row in others.iter().filter(|row| row.protocol == protocol) {
                let (property, verdict) = (cell(row.property), cell(&row.verdict()));
                line(f, row, &property, &verdict)?;
            }
            let together = [
                (&reached, "things that must be reachable", "found"),
                (&bugs, "bugs that are planted", "each is found"),
            ];
            for (all, what, verdict) in together {
                let of = all.iter().filter(|row| row.protocol == protocol);
                let of: Vec<_> = of.collect();
                if let Some(largest) = of.iter().max_by_key(|row| row.size) {
                    line(f, largest, &format!("{} {what}", of.len()), verdict)?;
                }
            }
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, row: &Row<'_>, property: &str, verdict: &str) -> fmt::Result {
    writeln!(
        f,
        "| {} | {property} | {} | {} {} | {:.0} | {verdict} |",
        row.protocol,
        row.engine.text(),
        grouped(row.size),
        row.engine.unit(),
        row.seconds,
    )
}

/// `text` within a cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
