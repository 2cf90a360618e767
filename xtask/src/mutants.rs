//! `cargo xtask mutants`: plants the seeded bugs of `verification/mutants`, one at a time, in a copy of the
//! tree, and has the model look for each. Production code knows nothing of them.
//!
//! A bug is a file `verification/mutants/<protocol>/<name>.patch`: what it is in its first line, why it is one, what
//! must find it, and the change.
//!
//! ```text
//! Half of an even group elects
//!
//! violates: two leaders in one term       part of the property's name, or of why the step is refused;
//! configuration: two nodes                or `unreached: a later term commits`
//! steps: 4
//! quick                                   it is among those that are planted by `--quick`
//!
//! --- a/crates/raft/src/…
//! ```
//!
//! Where there is nothing to model, a test must find it: `test: PACKAGE TARGET NAME`, whose target is `lib` or a file of
//! the package's tests. Bugs between threads are in `verification/concurrency/mutants`, and found by a test under loom:
//! `loom: FILE TEST`.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime};

const FOLDER: &str = "verification/mutants";

/// Bugs that take two threads.
const CONCURRENT: &str = "verification/concurrency/mutants";

/// A seeded bug.
pub(crate) struct Mutant {
    protocol: String,
    name: String,
    title: String,
    finding: Finding,
    configuration: String,
    is_quick: bool,
    patch: PathBuf,
}

/// What must find it.
enum Finding {
    Violates { reason: String, steps: usize },
    Unreached(String),
    Fails(Test),
}

/// A test.
struct Test {
    package: String,
    /// `lib`, or a file in the package's `tests`.
    target: String,
    name: String,
    /// Built for loom.
    is_loom: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Violates { reason, .. } => f.write_str(reason),
            Finding::Unreached(name) => write!(f, "not reached: {name}"),
            Finding::Fails(test) => f.write_str(&test.name),
        }
    }
}

/// Which of them to plant.
#[derive(Default)]
pub(crate) struct Selection {
    protocol: Option<String>,
    only: Option<String>,
    quick: bool,
    tsv: bool,
}

impl Selection {
    /// From the command line; `None` if that makes no sense.
    pub(crate) fn parse(arguments: &[String]) -> Option<Selection> {
        let mut selection = Selection::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => selection.quick = true,
                "--tsv" => selection.tsv = true,
                "--only" => selection.only = Some(arguments.next()?.clone()),
                flag if flag.starts_with('-') => return None,
                protocol if selection.protocol.is_none() => {
                    selection.protocol = Some(protocol.to_owned());
                }
                _ => return None,
            }
        }
        Some(selection)
    }

    fn has(&self, mutant: &Mutant) -> bool {
        self.protocol
            .as_ref()
            .is_none_or(|protocol| *protocol == mutant.protocol)
            && self
                .only
                .as_ref()
                .is_none_or(|only| mutant.name.contains(only.as_str()))
            && (mutant.is_quick || !self.quick)
    }
}

/// All seeded bugs, and complaints about files that are none.
pub(crate) fn all(root: &Path) -> (Vec<Mutant>, Vec<String>) {
    let (mut mutants, mut complaints) = (Vec::new(), Vec::new());
    let mut folders = crate::children(&root.join(FOLDER));
    folders.push(root.join(CONCURRENT));
    for folder in folders {
        for file in crate::children(&folder) {
            if file
                .extension()
                .is_none_or(|extension| extension != "patch")
            {
                continue;
            }
            match read(&file) {
                Ok(mutant) => mutants.push(mutant),
                Err(complaint) => complaints.push(format!("{}: {complaint}", file.display())),
            }
        }
    }
    (mutants, complaints)
}

fn read(file: &Path) -> Result<Mutant, String> {
    let name_of = |path: Option<&Path>| {
        let name = path
            .and_then(Path::file_stem)
            .and_then(|name| name.to_str());
        name.map(str::to_owned).ok_or("it has no name")
    };
    let folder = file.parent();
    let is_concurrent = folder.is_some_and(|folder| folder.ends_with(CONCURRENT));
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let (head, _) = text
        .split_once("\n--- ")
        .ok_or("there is no change in it")?;
    let field = |key: &str| {
        let values = head.lines().filter_map(|line| line.strip_prefix(key));
        values.map(|value| value.trim().to_owned()).next()
    };
    let finding = match (field("violates:"), field("unreached:"), test(&field)?) {
        (Some(reason), None, None) => {
            let steps = field("steps:").and_then(|steps| steps.parse().ok());
            let steps = steps.ok_or("`steps:` is missing")?;
            Finding::Violates { reason, steps }
        }
        (None, Some(name), None) => Finding::Unreached(name),
        (None, None, Some(test)) => Finding::Fails(test),
        _ => {
            let fields = "`violates:`, `unreached:`, `test:`, `loom:`";
            return Err(format!("one of {fields} must say what finds it"));
        }
    };
    let configuration = match &finding {
        Finding::Fails(test) => test.target.clone(),
        _ => field("configuration:").ok_or("`configuration:` is missing")?,
    };
    Ok(Mutant {
        protocol: match is_concurrent {
            true => "concurrency".to_owned(),
            false => name_of(folder)?,
        },
        name: name_of(Some(file))?,
        title: head.lines().next().unwrap_or_default().to_owned(),
        finding,
        configuration,
        is_quick: head.lines().any(|line| line == "quick"),
        patch: file.to_owned(),
    })
}

/// The test that must fail, if one is named.
fn test(field: &impl Fn(&str) -> Option<String>) -> Result<Option<Test>, String> {
    let (named, is_loom) = match (field("test:"), field("loom:")) {
        (Some(named), None) => (named, false),
        (None, Some(named)) => (format!("quorate-concurrency {named}"), true),
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err("`test:` and `loom:` exclude each other".to_owned()),
    };
    let words: Vec<&str> = named.split_whitespace().collect();
    let [package, target, name] = words[..] else {
        return Err(
            "`test:` names a package, a target and a test, `loom:` a file and a test".into(),
        );
    };
    Ok(Some(Test {
        package: package.to_owned(),
        target: target.to_owned(),
        name: name.to_owned(),
        is_loom,
    }))
}

/// Complains about bugs that cannot be planted any more.
pub(crate) fn apply_to(root: &Path, complaints: &mut Vec<String>) {
    let (mutants, wrong) = all(root);
    complaints.extend(wrong);
    // `quorate check` plants the quick ones of every protocol that is modelled.
    let modelled = |mutant: &&Mutant| !matches!(mutant.finding, Finding::Fails(_));
    let protocols: BTreeSet<&str> = mutants
        .iter()
        .filter(modelled)
        .map(|mutant| mutant.protocol.as_str())
        .collect();
    for protocol in protocols {
        let mut own = mutants.iter().filter(|one| one.protocol == protocol);
        if !own.any(|mutant| mutant.is_quick) {
            complaints.push(format!("{FOLDER}/{protocol}: none of them is quick"));
        }
    }
    for mutant in mutants {
        if let Err(why) = git_apply(root, &mutant.patch, &["--check"]) {
            complaints.push(format!("{}: {why}", mutant.patch.display()));
        }
    }
}

/// Plants the selected bugs and prints who finds them; whether all were found as they say.
pub(crate) fn run(root: &Path, selection: &Selection) -> Result<bool, String> {
    let (mutants, complaints) = all(root);
    if let Some(complaint) = complaints.first() {
        return Err(complaint.clone());
    }
    let mutants: Vec<Mutant> = mutants
        .into_iter()
        .filter(|one| selection.has(one))
        .collect();
    if mutants.is_empty() {
        return Err("no seeded bug is meant by that".to_owned());
    }
    let scratch = Scratch::new(root)?;
    if !selection.tsv {
        println!("| bug | found by | configuration | steps | seconds |");
        println!("|---|---|---|---|---|");
    }
    let mut failed = 0;
    for mutant in &mutants {
        let begun = Instant::now();
        let outcome = scratch.plant(mutant);
        failed += usize::from(outcome.is_err());
        if selection.tsv {
            println!("{}", mutant.line(&outcome));
        } else {
            println!("{} {} |", mutant.row(&outcome), begun.elapsed().as_secs());
        }
    }
    if !selection.tsv {
        let found = mutants.len() - failed;
        println!("\n{found} of {} found as expected", mutants.len());
    }
    Ok(failed == 0)
}

impl Mutant {
    /// What came of it, as the beginning of a row in Markdown.
    fn row(&self, outcome: &Result<String, String>) -> String {
        let Mutant {
            title,
            finding,
            configuration,
            ..
        } = self;
        match outcome {
            Ok(steps) => format!("| {title} | {finding} | {configuration} | {steps} |"),
            Err(why) => format!(
                "| {title} | **NOT AS EXPECTED** ({}/{}, expected: {finding}): {why} | {configuration} | |",
                self.protocol, self.name
            ),
        }
    }

    /// What came of it, for a program: whether it was found, its title, what must find it and where, the
    /// steps, and why it was not.
    fn line(&self, outcome: &Result<String, String>) -> String {
        let (verdict, steps, why) = match outcome {
            Ok(steps) => ("found", steps.as_str(), ""),
            Err(why) => ("missed", "", why.as_str()),
        };
        let finding = self.finding.to_string();
        let fields = [
            verdict,
            &self.title,
            &finding,
            &self.configuration,
            steps,
            why,
        ];
        fields
            .map(|field| field.replace(['\t', '\n'], " "))
            .join("\t")
    }
}

/// A copy of the tree, and where it is built.
struct Scratch {
    tree: PathBuf,
    build: PathBuf,
}

impl Scratch {
    /// Brings the copy up to date; what has not changed is not touched, so that it is not built again.
    fn new(root: &Path) -> Result<Scratch, String> {
        let target = root.join("target/mutants");
        let scratch = Scratch {
            tree: target.join("tree"),
            build: target.join("build"),
        };
        let listed = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(root)
            .output()
            .map_err(|error| format!("git: {error}"))?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        for name in listed.split_terminator('\0') {
            let (from, to) = (root.join(name), scratch.tree.join(name));
            copy(&from, &to).map_err(|error| format!("{}: {error}", to.display()))?;
        }
        Ok(scratch)
    }

    /// Plants a bug, looks for it, and takes it out again. The steps of the counterexample, if it was found as
    /// it says.
    fn plant(&self, mutant: &Mutant) -> Result<String, String> {
        git_apply(&self.tree, &mutant.patch, &[])?;
        let found = self.touch(mutant).and_then(|()| self.find(mutant));
        // What is not as expected must be so again, built anew: a build that took a file of the bug before
        // for this one's has nothing to say.
        let found = found.or_else(|_| self.touch(mutant).and_then(|()| self.find(mutant)));
        git_apply(&self.tree, &mutant.patch, &["-R"])?;
        self.touch(mutant)?;
        found
    }

    fn find(&self, mutant: &Mutant) -> Result<String, String> {
        match &mutant.finding {
            Finding::Fails(test) => self.test(test),
            _ => self.look_for(mutant),
        }
    }

    /// Gives what the bug changes the time of now: cargo knows changes by nothing else, and the clock of file
    /// systems is coarse.
    fn touch(&self, mutant: &Mutant) -> Result<(), String> {
        let patch = fs::read_to_string(&mutant.patch).map_err(|error| error.to_string())?;
        for name in patch.lines().filter_map(|line| line.strip_prefix("+++ b/")) {
            let file = self.tree.join(name);
            let opened = fs::File::options().append(true).open(&file);
            let touched = opened.and_then(|file| file.set_modified(SystemTime::now()));
            touched.map_err(|error| format!("{}: {error}", file.display()))?;
        }
        Ok(())
    }

    /// Runs a test, which must fail.
    fn test(&self, test: &Test) -> Result<String, String> {
        let mut command = Command::new("cargo");
        command.args(["test", "--locked", "--package", &test.package]);
        match test.target.as_str() {
            "lib" => command.arg("--lib"),
            file => command.args(["--test", file]),
        };
        let build = match test.is_loom {
            true => "loom",
            false => "tests",
        };
        if test.is_loom {
            command.env("RUSTFLAGS", "--cfg loom");
        }
        let tested = command
            .args(["--", "--exact", &test.name])
            .env("CARGO_TARGET_DIR", self.build.with_file_name(build))
            .env("CARGO_INCREMENTAL", "1")
            // What a bug of before has failed with says nothing of this one.
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
            .current_dir(&self.tree)
            .output()
            .map_err(|error| format!("cargo: {error}"))?;
        let said = String::from_utf8_lossy(&tested.stdout);
        let line = format!("test {} ... ", test.name);
        let outcome = said.lines().find_map(|said| said.strip_prefix(&line));
        match outcome {
            Some("FAILED") => Ok("–".to_owned()),
            Some(_) => Err("it survived".to_owned()),
            // A panic while loom takes apart what panicked ends the process before the test is told to have failed.
            None if panicked(&test.name, &tested.stderr) => Ok("–".to_owned()),
            None => Err("the test did not run".to_owned()),
        }
    }

    fn look_for(&self, mutant: &Mutant) -> Result<String, String> {
        let built = Command::new("cargo")
            .args([
                "build",
                "--release",
                "--locked",
                "--quiet",
                "--package",
                "quorate-mutants",
            ])
            .env("CARGO_TARGET_DIR", &self.build)
            .env("CARGO_INCREMENTAL", "1")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
            .current_dir(&self.tree)
            .output()
            .map_err(|error| format!("cargo: {error}"))?;
        if !built.status.success() {
            let why = String::from_utf8_lossy(&built.stderr).into_owned();
            let first = why.lines().find(|line| line.starts_with("error"));
            return Err(format!(
                "it does not compile: {}",
                first.unwrap_or_default()
            ));
        }
        let looked = Command::new(self.build.join("release/quorate-mutants"))
            .args([mutant.protocol.as_str(), "quick", &mutant.configuration])
            .output()
            .map_err(|error| format!("quorate-mutants: {error}"))?;
        if !looked.status.success() {
            return Err(String::from_utf8_lossy(&looked.stderr).trim().to_owned());
        }
        mutant
            .finding
            .judge(&String::from_utf8_lossy(&looked.stdout))
    }
}

/// Whether the thread of that test has panicked.
fn panicked(test: &str, stderr: &[u8]) -> bool {
    let thread = format!("thread '{test}' ");
    let said = String::from_utf8_lossy(stderr);
    let mut lines = said.lines();
    lines.any(|line| line.starts_with(&thread) && line.contains(" panicked at "))
}

impl Finding {
    /// The steps of the counterexample; or what was found in its place.
    fn judge(&self, found: &str) -> Result<String, String> {
        let lines: Vec<Vec<&str>> = found
            .lines()
            .map(|line| line.split('\t').collect())
            .collect();
        let survived = || match found.trim() {
            "" => "it survived".to_owned(),
            found => format!("found was: {}", found.replace(['\t', '\n'], " ")),
        };
        match self {
            Finding::Violates { reason, steps } => {
                let violated = lines.iter().find_map(|line| match line.as_slice() {
                    ["violated", what, length] if what.contains(reason.as_str()) => Some(*length),
                    _ => None,
                });
                match violated {
                    Some(length) if *length == steps.to_string() => Ok(length.to_owned()),
                    Some(length) => Err(format!("it is found in {length} steps, not {steps}")),
                    None => Err(survived()),
                }
            }
            Finding::Unreached(name) => {
                let is_unreached = lines
                    .iter()
                    .any(|line| *line == ["unreached", name.as_str()]);
                is_unreached.then(|| "–".to_owned()).ok_or_else(survived)
            }
            Finding::Fails(_) => Err(survived()),
        }
    }
}

/// `patch`, outside of any repository: git would look for the files at the top of the one around.
fn git_apply(tree: &Path, patch: &Path, options: &[&str]) -> Result<(), String> {
    let above = tree.parent().unwrap_or(tree);
    let applied = Command::new("git")
        .arg("apply")
        .args(options)
        .arg(fs::canonicalize(patch).map_err(|error| error.to_string())?)
        .env(
            "GIT_CEILING_DIRECTORIES",
            fs::canonicalize(above).map_err(|error| error.to_string())?,
        )
        .current_dir(tree)
        .output()
        .map_err(|error| format!("git: {error}"))?;
    match applied.status.success() {
        true => Ok(()),
        false => Err(format!(
            "it cannot be planted: {}",
            String::from_utf8_lossy(&applied.stderr).trim()
        )),
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    // Listed, but deleted and not committed yet.
    let Ok(content) = fs::read(from) else {
        return Ok(());
    };
    if fs::read(to).is_ok_and(|there| there == content) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(to, content)
}
