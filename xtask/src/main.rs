//! Chores of the workspace. `cargo xtask tidy` checks what no compiler does: that every protocol has all
//! of its rooms, that files stay readable, and that seeded bugs can be planted. `cargo xtask mutants` plants
//! them; `cargo xtask readme` brings the README's table of checks up to date.

#![allow(clippy::print_stdout, reason = "a command-line tool")]

mod mutants;
mod readme;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask tidy
       cargo xtask mutants [PROTOCOL] [--quick] [--only PART-OF-A-NAME] [--tsv]
       cargo xtask readme TABLE.md";

/// Lines of a source file, at most; a longer one wants to be two.
const LINES_MAX: usize = 800;

/// What a protocol consists of; `{}` stands for its name.
const ROOMS: [&str; 4] = [
    "crates/{}/src/lib.rs",
    "crates/{}/src/invariants.rs",
    "specs/{}/README.md",
    "verification/model/src/{}.rs",
];

/// Crates that must not depend on anything but each other: protocols are pure.
const PURE: [&str; 6] = [
    "crates/machine",
    "crates/clocks",
    "crates/raft",
    "crates/paxos",
    "crates/commit",
    "crates/broadcast",
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    match arguments.split_first() {
        Some((task, [])) if task == "tidy" => tidy(&root),
        Some((task, [table])) if task == "readme" => {
            match readme::update(&root, Path::new(table)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(why) => {
                    println!("{why}");
                    ExitCode::from(2)
                }
            }
        }
        Some((task, which)) if task == "mutants" => match mutants::Selection::parse(which) {
            Some(selection) => plant(&root, &selection),
            None => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    println!("{USAGE}");
    ExitCode::from(2)
}

fn plant(root: &Path, selection: &mutants::Selection) -> ExitCode {
    match mutants::run(root, selection) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            println!("{why}");
            ExitCode::from(2)
        }
    }
}

fn tidy(root: &Path) -> ExitCode {
    let mut complaints = Vec::new();
    rooms(root, &mut complaints);
    purity(root, &mut complaints);
    mutants::apply_to(root, &mut complaints);
    for file in sources(root) {
        readable(root, &file, &mut complaints);
    }
    for complaint in &complaints {
        println!("{complaint}");
    }
    if complaints.is_empty() {
        println!("tidy");
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Every specification's protocol has a crate, a model, invariants; and every protocol has one. What an engine
/// of the verification is tried on is no protocol.
fn rooms(root: &Path, complaints: &mut Vec<String>) {
    for spec in children(&root.join("specs"))
        .into_iter()
        .filter(|path| path.is_dir())
    {
        let Some(protocol) = spec.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if root.join("verification").join(protocol).exists() {
            continue;
        }
        let missing = ROOMS.map(|room| room.replace("{}", protocol));
        let missing = missing.iter().filter(|room| !root.join(room).exists());
        complaints.extend(
            missing.map(|room| format!("{room}: missing, as {protocol} has a specification")),
        );
    }
}

/// A protocol can reach neither clock nor network, as it depends on nothing that has them.
fn purity(root: &Path, complaints: &mut Vec<String>) {
    for pure in PURE {
        let manifest = fs::read_to_string(root.join(pure).join("Cargo.toml")).unwrap_or_default();
        let dependencies = manifest
            .lines()
            .skip_while(|line| *line != "[dependencies]")
            .skip(1)
            .take_while(|line| !line.starts_with('['));
        for line in dependencies.filter(|line| !line.trim().is_empty()) {
            let named = line.split(['.', ' ']).next().unwrap_or_default();
            if !PURE
                .iter()
                .any(|pure| pure.replace("crates/", "quorate-") == named)
            {
                complaints.push(format!(
                    "{pure}/Cargo.toml: {line}: a protocol depends on the machine and on other protocols only"
                ));
            }
        }
    }
}

fn readable(root: &Path, file: &Path, complaints: &mut Vec<String>) {
    let name = file.strip_prefix(root).unwrap_or(file).display();
    let Ok(text) = fs::read_to_string(file) else {
        return complaints.push(format!("{name}: not UTF-8"));
    };
    let lines = text.lines().count();
    if lines > LINES_MAX {
        complaints.push(format!("{name}: {lines} lines, {LINES_MAX} at most"));
    }
    if !text.starts_with("//!") && !text.starts_with("#!") {
        complaints.push(format!("{name}: does not begin by saying what it is for"));
    }
    for (number, line) in text.lines().enumerate() {
        let unfinished = ["TO", "DO"].concat();
        if line.contains(&unfinished) || line.contains(&["FIX", "ME"].concat()) {
            complaints.push(format!(
                "{name}:{}: unfinished: {}",
                number + 1,
                line.trim()
            ));
        }
    }
}

/// The Rust files of the workspace.
fn sources(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = ["crates", "verification", "tests", "xtask"]
        .map(|folder| root.join(folder))
        .into();
    while let Some(folder) = folders.pop() {
        for path in children(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut children: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    children.sort();
    children
}
