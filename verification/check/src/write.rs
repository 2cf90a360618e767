//! Runs as files.

use crate::html::html;
use crate::{Evidence, Finding, Markdown, Run, junit};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Writes a sequence diagram of every counterexample into `directory`; returns the files.
///
/// # Errors
///
/// If the directory cannot be made or a file not written.
pub fn write_diagrams(runs: &[Run], directory: &Path) -> io::Result<Vec<PathBuf>> {
    draw(runs, directory, Finding::has_failed)
}

/// Writes everything there is to say into `directory`: `index.html` with a diagram of every counterexample
/// and example, `report.json`, `junit.xml` and `table.md`; returns the page.
///
/// # Errors
///
/// If the directory cannot be made or a file not written.
pub fn write_report(title: &str, runs: &[Run], directory: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(directory)?;
    draw(runs, &directory.join("diagrams"), |_| true)?;
    let diagram = |run: &Run, finding: &Finding| {
        let drawn = matches!(finding.evidence, Some(Evidence::Trace(_)));
        drawn.then(|| format!("diagrams/{}", file_name(run, finding)))
    };
    let page = directory.join("index.html");
    fs::write(&page, html(title, runs, &diagram))?;
    fs::write(directory.join("junit.xml"), junit(runs))?;
    fs::write(directory.join("table.md"), Markdown(runs).to_string())?;
    let json = serde_json::to_string_pretty(runs)?;
    fs::write(directory.join("report.json"), json)?;
    Ok(page)
}

fn draw(
    runs: &[Run],
    directory: &Path,
    wanted: impl Fn(&Finding) -> bool,
) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for run in runs {
        for finding in run.findings.iter().filter(|finding| wanted(finding)) {
            let Some(Evidence::Trace(trace)) = &finding.evidence else {
                continue;
            };
            fs::create_dir_all(directory)?;
            let file = directory.join(file_name(run, finding));
            fs::write(&file, trace.to_svg())?;
            files.push(file);
        }
    }
    Ok(files)
}

fn file_name(run: &Run, finding: &Finding) -> String {
    let names = [&run.protocol, &run.part, &finding.property];
    format!("{}.svg", names.map(|name| slug(name)).join("--"))
}

/// `name` as a part of a file's name.
fn slug(name: &str) -> String {
    let parts = name.split(|c: char| !c.is_ascii_alphanumeric());
    let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("-").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

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
