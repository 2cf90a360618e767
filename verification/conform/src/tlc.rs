//! TLC: where it is, running it on a trace, and what it said.

use crate::ConformError;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What the modules of a trace extend. Within the program, so that it needs no checkout.
const SPECIFICATION: [(&str, &str); 2] = [
    ("Raft.tla", include_str!("../../../specs/raft/Raft.tla")),
    (
        "TraceRaft.tla",
        include_str!("../../../specs/raft/TraceRaft.tla"),
    ),
];

/// Where `specs/check` keeps TLC, below the root of a checkout.
const CHECKOUT: &str = "target/tlc/tla2tools.jar";

/// How often a running TLC is looked at.
const POLL: Duration = Duration::from_millis(20);

/// A Java runtime and TLC.
#[derive(Clone, Debug)]
pub struct Tools {
    java: PathBuf,
    jar: PathBuf,
    /// The most memory that TLC may use, in MiB.
    pub heap_mib: u32,
    /// The longest that it may take for one module.
    pub timeout: Duration,
}

/// What is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToolsError {
    /// No Java.
    #[error(
        "a Java runtime is needed and none was found: install one (Debian: default-jre-headless), or set \
         JAVA_HOME"
    )]
    Java,
    /// No TLC.
    #[error(
        "tla2tools.jar is needed and was not found: `specs/check --quick` of a checkout fetches it, as does \
         https://github.com/tlaplus/tlaplus/releases; then name it with --tla-tools or TLC_JAR"
    )]
    Jar,
    /// The file that was named is not there.
    #[error("no such file: {}", .0.display())]
    Named(PathBuf),
}

impl Tools {
    /// Finds them: the jar at `named`, or where `TLC_JAR` says, or in the checkout around the current
    /// directory.
    ///
    /// # Errors
    ///
    /// If one of them is missing.
    pub fn find(named: Option<&Path>) -> Result<Self, ToolsError> {
        let named = named.map(Path::to_path_buf);
        let named = named.or_else(|| std::env::var_os("TLC_JAR").map(PathBuf::from));
        let jar = match named {
            Some(named) if named.is_file() => named,
            Some(named) => return Err(ToolsError::Named(named)),
            None => in_checkout().ok_or(ToolsError::Jar)?,
        };
        let home = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
        let java = home.filter(|java| java.is_file());
        let java = java.or_else(|| in_path("java")).ok_or(ToolsError::Java)?;
        Ok(Tools {
            java,
            jar,
            heap_mib: 2048,
            timeout: Duration::from_secs(600),
        })
    }
}

fn in_checkout() -> Option<PathBuf> {
    let current = std::env::current_dir().ok()?;
    let candidates = current.ancestors().map(|dir| dir.join(CHECKOUT));
    candidates.into_iter().find(|jar| jar.is_file())
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let candidates = std::env::split_paths(&path).map(|dir| dir.join(program));
    candidates.into_iter().find(|file| file.is_file())
}

/// One word of TLC: what `TraceRaft.tla` prints, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) String);

/// What TLC said about a module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// The tuples that were printed.
    pub(crate) words: Vec<Word>,
    /// What it called errors.
    pub(crate) errors: Vec<String>,
}

/// Runs TLC on modules, one after the other.
pub(crate) struct Tlc<'a> {
    tools: &'a Tools,
    dir: TempDir,
}

impl<'a> Tlc<'a> {
    pub(crate) fn new(tools: &'a Tools) -> Result<Self, ConformError> {
        let dir = TempDir::with_prefix("quorate-conform-");
        let dir = dir.map_err(local("creating a temporary directory"))?;
        for (name, text) in SPECIFICATION {
            fs::write(dir.path().join(name), text).map_err(local("writing a module"))?;
        }
        Ok(Tlc { tools, dir })
    }

    /// Checks the module with this name, text and configuration, with so many threads.
    pub(crate) fn check(
        &self,
        name: &str,
        module: &str,
        config: &str,
        workers: usize,
    ) -> Result<Said, ConformError> {
        let path = |extension: &str| self.dir.path().join(format!("{name}.{extension}"));
        fs::write(path("tla"), module).map_err(local("writing a module"))?;
        fs::write(path("cfg"), config).map_err(local("writing a configuration"))?;
        let output = File::create(path("out")).map_err(local("creating a file"))?;
        let errors = output.try_clone().map_err(local("creating a file"))?;
        let mut child = Command::new(&self.tools.java)
            // A run is too short for the optimizing compiler: without it TLC takes half of the CPU.
            .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xss16m"])
            .arg(format!("-Xmx{}m", self.tools.heap_mib))
            .arg(format!("-Djava.io.tmpdir={}", self.dir.path().display()))
            .arg("-cp")
            .arg(&self.tools.jar)
            .args(["tlc2.TLC", "-deadlock", "-workers", &workers.to_string()])
            .arg("-metadir")
            .arg(path("states"))
            .args(["-config", &format!("{name}.cfg"), &format!("{name}.tla")])
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(local("running TLC"))?;
        let began = Instant::now();
        loop {
            if child
                .try_wait()
                .map_err(local("waiting for TLC"))?
                .is_some()
            {
                break;
            }
            if began.elapsed() > self.tools.timeout {
                // It may have ended just now.
                let _ = child.kill();
                let _ = child.wait();
                let reason = format!("not done within {:?}", self.tools.timeout);
                return Err(failure(name, reason));
            }
            std::thread::sleep(POLL);
        }
        let text = fs::read(path("out")).map_err(local("reading what TLC said"))?;
        let text = String::from_utf8_lossy(&text);
        let said = understand(&text);
        let started = text.contains("Finished computing initial states");
        if !started {
            let end: Vec<&str> = text.lines().rev().take(30).collect();
            let end: Vec<&str> = end.into_iter().rev().collect();
            return Err(failure(name, end.join("\n")));
        }
        // What it needed no longer, lest a long run fills the disk.
        for extension in ["tla", "cfg", "out"] {
            let _ = fs::remove_file(path(extension));
        }
        let _ = fs::remove_dir_all(path("states"));
        Ok(said)
    }
}

fn failure(module: &str, reason: String) -> ConformError {
    ConformError::Tlc {
        module: module.into(),
        reason,
    }
}

fn local(attempt: &str) -> impl FnOnce(io::Error) -> ConformError {
    let attempt = attempt.to_owned();
    move |source| ConformError::Local { attempt, source }
}

/// Takes the printed tuples, which may go over many lines, from everything else.
fn understand(text: &str) -> Said {
    let mut said = Said::default();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(error) = line.strip_prefix("Error: ") {
            said.errors.push(error.to_owned());
        }
        if !line.starts_with("<<") {
            continue;
        }
        let mut word = line.to_owned();
        while depth(&word) > 0 {
            let Some(line) = lines.next() else { break };
            word.push('\n');
            word.push_str(line);
        }
        said.words.push(Word(word));
    }
    said
}

/// How many tuples are open at the end of a text. Strings hold no brackets: sessions have names of letters
/// and digits.
fn depth(text: &str) -> usize {
    let count = |bracket: &str| text.matches(bracket).count();
    count("<<").saturating_sub(count(">>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_told_from_what_surrounds_it() {
        let said = understand(
            "TLC2\n<<\"step\", 1, 2>>\n<< \"differs\",\n  <<1>>,\n  [a |-> {}] >>\nError: Attempted it.\nFinished",
        );
        let words: Vec<&str> = said.words.iter().map(|word| &*word.0).collect();
        assert_eq!(
            words,
            [
                "<<\"step\", 1, 2>>",
                "<< \"differs\",\n  <<1>>,\n  [a |-> {}] >>"
            ]
        );
        assert_eq!(said.errors, ["Attempted it."]);
    }

    #[test]
    fn a_named_file_that_is_not_there_is_told() {
        let named = PathBuf::from("/nowhere/tla2tools.jar");
        let found = Tools::find(Some(&named));
        assert_eq!(found.err(), Some(ToolsError::Named(named)));
    }
}
