//! Seeded bugs, planted by `cargo xtask mutants` in a copy of the source tree that this binary was built from.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use quorate_check::{CheckError, Count, Engine, Evidence, Finding, Progress, Run, Settings, Task};
use quorate_model::{Bound, Stop, Verdict};

use super::ScopeName;

/// The seeded bugs of a protocol.
pub(super) struct SeededBugs {
    protocol: &'static str,
    tree: PathBuf,
    is_quick: bool,
}

impl SeededBugs {
    /// Those that belong to the scope, if there are any and the source tree is there.
    pub(super) fn of(protocol: &'static str, scope: ScopeName) -> Option<SeededBugs> {
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let planted = tree.join("verification/mutants").join(protocol).is_dir();
        let wanted = planted && scope != ScopeName::Quick;
        wanted.then_some(SeededBugs {
            protocol,
            tree,
            is_quick: scope == ScopeName::Ci,
        })
    }
}

impl Task for SeededBugs {
    fn engine(&self) -> Engine {
        Engine::SeededBugs
    }

    fn part(&self) -> &str {
        if self.is_quick {
            "a few seeded bugs"
        } else {
            "all seeded bugs"
        }
    }

    fn within(&self) -> Vec<Bound> {
        Vec::new()
    }

    fn run(self: Box<Self>, settings: &Settings) -> Result<Run, CheckError> {
        let begun = Instant::now();
        let mut findings = Vec::new();
        let outcome = self.plant(settings, |line| {
            findings.extend(finding(line));
            if let Some(listener) = &settings.progress {
                listener(&Progress {
                    text: format!("{} planted", findings.len()),
                    elapsed: begun.elapsed(),
                });
            }
        });
        if let Err(why) = outcome {
            findings.push(Finding {
                property: "seeded bugs can be planted".to_owned(),
                verdict: Verdict::Undecided,
                length: None,
                evidence: Some(Evidence::Text(why)),
            });
        }
        let interrupted = settings.is_interrupted();
        Ok(Run {
            protocol: String::new(),
            engine: Engine::SeededBugs,
            part: self.part().to_owned(),
            within: Vec::new(),
            assumed: Vec::new(),
            counts: vec![Count {
                name: Engine::SeededBugs.unit().to_owned(),
                value: findings.len() as u64,
            }],
            seconds: begun.elapsed().as_secs_f64(),
            peak_rss_bytes: None,
            initial_rss_bytes: None,
            stopped: interrupted.then_some(Stop::Interrupted),
            findings,
        })
    }
}

impl SeededBugs {
    /// Plants them one after another and hands on what is said of each.
    fn plant(&self, settings: &Settings, mut tell: impl FnMut(&str)) -> Result<(), String> {
        let mut command = Command::new("cargo");
        command.args(["xtask", "mutants", self.protocol, "--tsv"]);
        if self.is_quick {
            command.arg("--quick");
        }
        let planting = command
            .current_dir(&self.tree)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut planting = planting.map_err(|error| format!("cargo: {error}"))?;
        let mut refused = Vec::new();
        for line in planting.stdout.take().into_iter().flat_map(lines) {
            match line.split_once('\t') {
                Some(_) => tell(&line),
                None => refused.push(line),
            }
            if settings.is_interrupted() {
                // It gets the terminal's interrupt itself; without a terminal it is told here.
                let _ = planting.kill();
            }
        }
        let mut complaint = String::new();
        if let Some(mut stderr) = planting.stderr.take() {
            // What it says of an error is a courtesy.
            let _ = stderr.read_to_string(&mut complaint);
        }
        let ended = planting.wait().map_err(|error| error.to_string())?;
        // One is: not all were found, which their lines say.
        match ended.code() {
            Some(0 | 1) => Ok(()),
            _ => Err(format!("{}{complaint}", refused.concat())),
        }
    }
}

fn lines(from: impl Read) -> impl Iterator<Item = String> {
    BufReader::new(from).lines().map_while(Result::ok)
}

/// What a line of `cargo xtask mutants --tsv` says.
fn finding(line: &str) -> Option<Finding> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [verdict, title, finder, configuration, steps, why] = fields[..] else {
        return None;
    };
    let told = format!("by {finder}, in {configuration}");
    let (verdict, evidence) = match verdict {
        "found" => (Verdict::Refuted, told),
        _ => (Verdict::Survived, format!("expected {told}: {why}\n")),
    };
    Some(Finding {
        property: format!("bug: {title}"),
        verdict,
        length: steps.parse().ok(),
        evidence: Some(Evidence::Text(evidence)),
    })
}
