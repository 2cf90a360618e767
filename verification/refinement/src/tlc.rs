//! Runs TLC for the graph of a specification.

use crate::{Graph, GraphError, Pool};
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often TLC is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How TLC is run.
#[derive(Clone, Debug)]
pub struct Tlc {
    /// The `tla2tools.jar`.
    pub jar: PathBuf,
    /// Java's heap, as it is written after `-Xmx`.
    pub heap: String,
    /// Threads.
    pub workers: usize,
    /// TLC is stopped after so long.
    pub timeout: Duration,
}

/// Why there is no graph.
#[derive(Debug, thiserror::Error)]
pub enum TlcError {
    /// Java cannot be started.
    #[error("java cannot be started")]
    Java(#[source] io::Error),
    /// There is no such file, and without it no TLC.
    #[error("no TLC at {0}: `specs/check --quick` fetches it, and TLC_JAR names another")]
    NoJar(PathBuf),
    /// Files cannot be read or written.
    #[error("{0}")]
    Io(PathBuf, #[source] io::Error),
    /// TLC needs more than the time that it has.
    #[error("TLC was stopped after {0:?}")]
    Timeout(Duration),
    /// TLC found something to complain about.
    #[error("TLC did not finish:\n{0}")]
    Failed(String),
    /// The graph is not what TLC wrote.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Part of the graph is missing.
    #[error("TLC tells of {told} states and wrote {written}")]
    Incomplete {
        /// States that TLC counted.
        told: u32,
        /// States in the graph.
        written: u32,
    },
}

impl Tlc {
    /// The graph of `module` within the bounds of `configuration`, two files in one folder.
    ///
    /// The graph is some six kilobytes of text a state. It is written to a temporary file, which is gone
    /// afterwards.
    ///
    /// # Errors
    ///
    /// If TLC does not find the whole graph.
    pub fn graph(
        &self,
        module: &Path,
        configuration: &Path,
        pool: &mut Pool,
    ) -> Result<Graph, TlcError> {
        if !self.jar.is_file() {
            return Err(TlcError::NoJar(self.jar.clone()));
        }
        let scratch = tempfile::tempdir();
        let scratch = scratch.map_err(|error| TlcError::Io(std::env::temp_dir(), error))?;
        let dump = scratch.path().join("graph.dot");
        let said = self.run(module, configuration, scratch.path(), &dump)?;
        let told = states_told(&said).ok_or_else(|| TlcError::Failed(tail(&said)))?;
        let file = File::open(&dump).map_err(|error| TlcError::Io(dump, error))?;
        let graph = Graph::read(BufReader::with_capacity(1 << 20, file), pool)?;
        if graph.states() != told {
            let written = graph.states();
            return Err(TlcError::Incomplete { told, written });
        }
        Ok(graph)
    }

    /// What TLC says.
    fn run(
        &self,
        module: &Path,
        configuration: &Path,
        scratch: &Path,
        dump: &Path,
    ) -> Result<String, TlcError> {
        let jar = std::path::absolute(&self.jar);
        let jar = jar.map_err(|error| TlcError::Io(self.jar.clone(), error))?;
        let output = scratch.join("output");
        let io_error = |error| TlcError::Io(output.clone(), error);
        let file = File::create(&output).map_err(io_error)?;
        let mut java = Command::new("java");
        java.args(["-XX:+UseParallelGC", &format!("-Xmx{}", self.heap)])
            .arg(format!("-Djava.io.tmpdir={}", scratch.display()))
            .arg("-cp")
            .arg(jar)
            .args(["tlc2.TLC", "-workers", &self.workers.to_string()])
            .args(["-deadlock", "-metadir"])
            .arg(scratch.join("states"))
            .args(["-dump", "dot,actionlabels"])
            .arg(dump)
            .arg("-config")
            .args([configuration, module].map(|path| path.file_name().unwrap_or_default()))
            .stdin(Stdio::null())
            .stderr(file.try_clone().map_err(io_error)?)
            .stdout(file);
        if let Some(folder) = module.parent().filter(|f| !f.as_os_str().is_empty()) {
            java.current_dir(folder);
        }
        self.wait(java.spawn().map_err(TlcError::Java)?)?;
        std::fs::read_to_string(&output).map_err(io_error)
    }

    fn wait(&self, mut java: Child) -> Result<(), TlcError> {
        let begin = Instant::now();
        loop {
            if java.try_wait().map_err(TlcError::Java)?.is_some() {
                return Ok(());
            }
            if begin.elapsed() > self.timeout {
                java.kill().map_err(TlcError::Java)?;
                java.wait().map_err(TlcError::Java)?;
                return Err(TlcError::Timeout(self.timeout));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

/// The number of distinct states, if TLC saw all of them and nothing wrong.
fn states_told(said: &str) -> Option<u32> {
    if !said.contains("Model checking completed. No error has been found.") {
        return None;
    }
    let mut lines = said.lines();
    let counted = lines
        .find_map(|line| line.strip_suffix(" distinct states found, 0 states left on queue."))?;
    let (_, states) = counted.split_once("generated, ")?;
    states.replace(',', "").parse().ok()
}

/// The last lines: what went wrong stands at the end.
fn tail(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_graph_counts() {
        let said = "Progress(9): 542 states generated, 215 distinct states found, 120 states left on queue.\n\
                    Model checking completed. No error has been found.\n\
                    98,479 states generated, 9,193 distinct states found, 0 states left on queue.\n";
        assert_eq!(states_told(said), Some(9193));
        assert_eq!(
            states_told(&said.replace(", 0 states left", ", 70 states left")),
            None
        );
        let violated = "Error: Invariant TypeOK is violated.\n\
                        12 states generated, 9 distinct states found, 0 states left on queue.\n";
        assert_eq!(states_told(violated), None);
    }

    #[test]
    fn without_tlc_it_says_how_to_get_it() {
        let tlc = Tlc {
            jar: PathBuf::from("/nowhere/tla2tools.jar"),
            heap: "1g".to_owned(),
            workers: 1,
            timeout: Duration::from_secs(1),
        };
        let none = tlc.graph(Path::new("M.tla"), Path::new("M.cfg"), &mut Pool::default());
        let error = none
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(error.contains("specs/check"), "{error}");
    }
}
