//! Runs as JUnit XML, which continuous integration shows.

use crate::{Finding, Run};
use quorate_model::{Verdict, escape};
use std::fmt::Write;

/// Runs as one JUnit XML file: a suite for each run, a case for each property.
///
/// A counterexample is the text of its failure; a property that could not be decided is skipped, so that
/// a limit of states or time does not read as a pass.
pub fn junit(runs: &[Run]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for run in runs {
        suite(&mut out, run);
    }
    out.push_str("</testsuites>\n");
    out
}

fn suite(out: &mut String, run: &Run) {
    let findings = &run.findings;
    let failures = findings.iter().filter(|one| one.has_failed()).count();
    let open = |one: &&Finding| one.verdict == Verdict::Undecided;
    let skipped = findings.iter().filter(open).count();
    let title = format!("{}, {}", run.title(), run.engine.text());
    let title = escape(&title);
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "  <testsuite name=\"{title}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\" time=\"{:.3}\">",
        findings.len(),
        run.seconds,
    );
    out.push_str("    <properties>\n");
    let counts = run.counts.iter().map(|c| (c.name.as_str(), c.value));
    let bounds = run.within.iter().map(|b| (b.name.as_str(), b.limit));
    for (name, value) in counts.chain(bounds) {
        let name = escape(name);
        let _ = writeln!(out, "      <property name=\"{name}\" value=\"{value}\"/>");
    }
    out.push_str("    </properties>\n");
    for finding in findings {
        case(out, &title, finding);
    }
    out.push_str("  </testsuite>\n");
}

fn case(out: &mut String, suite: &str, finding: &Finding) {
    let name = escape(&finding.property);
    let _ = write!(
        out,
        "    <testcase classname=\"{suite}\" name=\"{name}\" time=\"0\""
    );
    let verdict = finding.verdict.text();
    let _ = if finding.verdict == Verdict::Undecided {
        writeln!(out, "><skipped message=\"{verdict}\"/></testcase>")
    } else if finding.has_failed() {
        let evidence = finding.evidence.as_ref().map(|evidence| evidence.text());
        let evidence = evidence.unwrap_or_default();
        let evidence = escape(&evidence);
        writeln!(
            out,
            "><failure message=\"{verdict}\">\n{evidence}</failure></testcase>"
        )
    } else {
        writeln!(out, "/>")
    };
}
