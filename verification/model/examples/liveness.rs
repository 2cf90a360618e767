//! Decides Raft's liveness at a scope, or one configuration of it, and prints what was found:
//!
//! ```text
//! cargo run --release -p quorate-model --example liveness -- quick
//! cargo run --release -p quorate-model --example liveness -- quick elections
//! cargo run --release -p quorate-model --example liveness -- quick "no timing" svg > lasso.svg
//! ```

#![allow(clippy::print_stdout)]

use quorate_model::raft::liveness;
use quorate_model::{LivenessReport, Options, Protocol, Scope, check_liveness};
use std::error::Error;
use std::time::Duration;

/// No search may take more memory or time than this.
const RSS_MAX_BYTES: u64 = 4 << 30;
const TIMEOUT: Duration = Duration::from_secs(1200);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let scope = match arguments.next().as_deref() {
        Some("ci") => Scope::Ci,
        Some("deep") => Scope::Deep,
        _ => Scope::Quick,
    };
    let wanted = arguments.next();
    let drawn = arguments.next().as_deref() == Some("svg");
    for model in liveness::scope(scope) {
        if wanted.as_deref().is_some_and(|name| name != model.name()) {
            continue;
        }
        let options = Options {
            rss_max_bytes: Some(RSS_MAX_BYTES),
            timeout: Some(TIMEOUT),
            ..Options::default()
        };
        let report = check_liveness(model, options)?;
        if drawn {
            let lassos = report.properties.iter().filter_map(|f| f.trace.as_ref());
            lassos
                .take(1)
                .for_each(|lasso| println!("{}", lasso.to_svg()));
        } else {
            print(&report, wanted.is_some());
        }
    }
    Ok(())
}

fn print(report: &LivenessReport, long: bool) {
    println!(
        "{}: {} states, {} edges, depth {}, {:.1} s{} {}",
        report.protocol,
        report.states,
        report.edges,
        report.depth,
        report.seconds,
        if report.cut {
            ", cut off at the bounds"
        } else {
            ""
        },
        report.stopped.map_or("", |stop| stop.text()),
    );
    for finding in &report.properties {
        println!(
            "  {} ({}): {}, {} states in question, {:.1} s{}",
            finding.title(),
            finding.form,
            finding.verdict.text(),
            finding.region,
            finding.seconds,
            finding
                .length
                .map_or(String::new(), |steps| format!(", {steps} steps")),
        );
        if let Some(trace) = finding.trace.as_ref().filter(|_| long) {
            println!("{trace}");
        }
    }
}
