//! Runs as a page: the table, what each engine looked at, and every diagram a click away.

use crate::matrix::{grouped, rows};
use crate::table::bounds;
use crate::{Evidence, Finding, Run, passed};
use quorate_model::escape;
use std::fmt::Write;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;color:#1a1a1a;max-width:1200px;margin:2em auto;padding:0 1em}\
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}\
table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.3em .7em;border-bottom:1px solid #e3e5e8;vertical-align:top}\
th{color:#555;font-weight:600}\
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
.good{color:#2e7d32}.bad{color:#c62828;font-weight:600}.open{color:#8a6d00}\
.small{color:#666;font-size:.88em}\
pre{background:#f6f7f9;padding:1em;overflow-x:auto;font-size:13px}\
details{margin:.4em 0}summary{cursor:pointer}img{max-width:100%}";

/// Where the diagram of a finding is, beside the page; none if it has none.
pub(crate) type DiagramOf<'a> = &'a dyn Fn(&Run, &Finding) -> Option<String>;

/// Runs as one page.
pub(crate) fn html(title: &str, runs: &[Run], diagram: DiagramOf<'_>) -> String {
    let mut out = String::new();
    let title = escape(title);
    let verdict = if passed(runs) {
        "<span class=\"good\">everything is as it should be</span>"
    } else {
        "<span class=\"bad\">not everything is as it should be</span>"
    };
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"/><title>{title}</title>\
         <style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n<p>{verdict}</p>\n"
    );
    failures(&mut out, runs, diagram);
    properties(&mut out, runs);
    configurations(&mut out, runs, diagram);
    out.push_str("</body>\n</html>\n");
    out
}

fn failures(out: &mut String, runs: &[Run], diagram: DiagramOf<'_>) {
    for run in runs {
        for finding in run.findings.iter().filter(|one| one.has_failed()) {
            let (title, property) = (run.title(), escape(&finding.property));
            let verdict = finding.verdict.text();
            let _ = writeln!(
                out,
                "<h2 class=\"bad\">{}: {property}: {verdict}</h2>",
                escape(&title)
            );
            if let Some(file) = diagram(run, finding) {
                let _ = writeln!(out, "<img src=\"{file}\" alt=\"the steps as a diagram\"/>");
            }
            if let Some(evidence) = &finding.evidence {
                let _ = writeln!(out, "<pre>{}</pre>", escape(&evidence.text()));
            }
        }
    }
}

fn properties(out: &mut String, runs: &[Run]) {
    out.push_str(
        "<h2>Properties</h2>\n<table><tr><th>protocol</th><th>property</th><th>engine</th>\
         <th class=\"number\">looked at</th><th class=\"number\">seconds</th><th>verdict</th></tr>\n",
    );
    for row in rows(runs) {
        let class = if row.passed() { "good" } else { "bad" };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"number\">{} {}</td>\
             <td class=\"number\">{:.1}</td><td class=\"{class}\">{}</td></tr>",
            escape(row.protocol),
            escape(row.property),
            row.engine.text(),
            grouped(row.size),
            row.engine.unit(),
            row.seconds,
            escape(&row.verdict()),
        );
    }
    out.push_str("</table>\n");
}

fn configurations(out: &mut String, runs: &[Run], diagram: DiagramOf<'_>) {
    out.push_str("<h2>Configurations</h2>\n");
    for run in runs {
        let class = if run.passed() { "good" } else { "bad" };
        let counts = run.counts.iter();
        let counts: Vec<_> = counts
            .map(|count| format!("{} {}", grouped(count.value), count.name))
            .collect();
        let assumed = run.assumed.join("; ");
        let assumed = match assumed.as_str() {
            "" => String::new(),
            assumed => format!("; assuming {assumed}"),
        };
        let _ = writeln!(
            out,
            "<details><summary>{}, {}: <span class=\"{class}\">{}</span> \
             <span class=\"small\">{}, {:.1} s</span></summary>\n<p class=\"small\">within {}{}</p>\n<ul>",
            escape(&run.title()),
            run.engine.text(),
            escape(&run.summary()),
            escape(&counts.join(", ")),
            run.seconds,
            escape(&bounds(&run.within)),
            escape(&assumed),
        );
        for finding in &run.findings {
            entry(out, finding, diagram(run, finding));
        }
        out.push_str("</ul></details>\n");
    }
}

fn entry(out: &mut String, finding: &Finding, diagram: Option<String>) {
    let steps = finding.length.map(|steps| format!(" in {steps} steps"));
    let verdict = format!("{}{}", finding.verdict.text(), steps.unwrap_or_default());
    let _ = write!(out, "<li>{}: ", escape(&finding.property));
    let _ = match diagram {
        Some(file) => write!(out, "<a href=\"{file}\">{verdict}</a>"),
        None => write!(out, "{verdict}"),
    };
    if let Some(Evidence::Text(text)) = &finding.evidence {
        let _ = write!(out, "<pre>{}</pre>", escape(text));
    }
    out.push_str("</li>\n");
}
