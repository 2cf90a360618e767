//! TLC and the comparison, one after the other.

use crate::broadcast::{self, BroadcastSubject};
use crate::commit::CommitSubject;
use crate::paxos::PaxosSubject;
use crate::raft::RaftSubject;
use crate::{
    Bounds, BoundsError, CompareError, Graph, GraphError, Pool, Report, Subject, Tlc, TlcError,
    compare,
};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

/// A protocol that is compared: the folder of its specification, and the module there whose actions have the
/// names that its subject knows.
const PROTOCOLS: &[Compared] = &[
    Compared {
        folder: "raft",
        module: "MCRaftRefine.tla",
        compare: |text, graph| {
            let subject = RaftSubject::new(Bounds::parse(text).map_err(Within::Bounds)?);
            graph.with(&subject)
        },
    },
    Compared {
        folder: "paxos",
        module: "MCPaxosRefine.tla",
        compare: |text, graph| graph.with(&PaxosSubject::new(text).map_err(Within::Bounds)?),
    },
    Compared {
        folder: "commit",
        module: "MCCommit.tla",
        compare: |text, graph| graph.with(&CommitSubject::new(text).map_err(Within::Bounds)?),
    },
    Compared {
        folder: "broadcast",
        module: "MCBroadcast.tla",
        compare: |text, graph| {
            let bounds = broadcast::Bounds::parse(text).map_err(Within::Bounds)?;
            graph.with(&BroadcastSubject::new(bounds))
        },
    },
];

struct Compared {
    folder: &'static str,
    module: &'static str,
    /// Compares the Rust side, within the bounds in the text of a configuration, with TLC's.
    compare: fn(&str, Specified<'_>) -> Result<Report, Within>,
}

/// The specification's graph, yet to be had.
struct Specified<'a> {
    module: PathBuf,
    file: &'a Path,
    source: &'a Source,
    states_max: usize,
}

/// What can go wrong within one comparison.
enum Within {
    Bounds(BoundsError),
    Run(RunError),
}

impl From<RunError> for Within {
    fn from(error: RunError) -> Self {
        Within::Run(error)
    }
}

impl Specified<'_> {
    fn with(self, subject: &impl Subject) -> Result<Report, Within> {
        let mut pool = Pool::default();
        let graph = self.graph(&mut pool)?;
        let compared = compare(subject, &graph, &mut pool, self.states_max);
        Ok(compared.map_err(RunError::from)?)
    }

    fn graph(&self, pool: &mut Pool) -> Result<Graph, RunError> {
        match self.source {
            Source::Tlc(tlc) => Ok(tlc.graph(&self.module, self.file, pool)?),
            Source::File(path) => {
                let opened = std::fs::File::open(path);
                let opened = opened.map_err(|error| RunError::Io(path.clone(), error))?;
                let read = Graph::read(BufReader::with_capacity(1 << 20, opened), pool);
                read.map_err(|error| RunError::Graph(path.clone(), error))
            }
        }
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file cannot be read.
    #[error("{0} cannot be read: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// A file has no graph.
    #[error("{0}: {1}")]
    Graph(PathBuf, #[source] GraphError),
    /// No specification that is compared has this configuration.
    #[error("there is no {0}.cfg in {1}, in a folder of a specification that is compared")]
    Unknown(String, PathBuf),
    /// The configuration has no counterpart in Rust.
    #[error("{0}: {1}")]
    Bounds(PathBuf, #[source] BoundsError),
    /// TLC gives no graph.
    #[error(transparent)]
    Tlc(#[from] TlcError),
    /// The Rust model is too large.
    #[error(transparent)]
    Compare(#[from] CompareError),
}

/// Where the specification's graph comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// From TLC, run now.
    Tlc(Tlc),
    /// From a file that TLC wrote before, with `-dump dot,actionlabels`.
    File(PathBuf),
}

/// Compares a protocol in Rust with its specification, in a folder of `specifications`, within the bounds of a
/// configuration there, named without `.cfg`: which protocol it is, the configuration's folder says.
///
/// # Errors
///
/// If either graph cannot be had whole. That they differ is no error: see [`Report::refines`].
pub fn run(
    specifications: &Path,
    configuration: &str,
    source: &Source,
    states_max: usize,
) -> Result<Report, RunError> {
    let file_of = |compared: &Compared| {
        let folder = specifications.join(compared.folder);
        folder.join(format!("{configuration}.cfg"))
    };
    let known = PROTOCOLS
        .iter()
        .find(|compared| file_of(compared).is_file());
    let unknown = || RunError::Unknown(configuration.to_owned(), specifications.to_owned());
    let compared = known.ok_or_else(unknown)?;
    let file = file_of(compared);
    let text = std::fs::read_to_string(&file);
    let text = text.map_err(|error| RunError::Io(file.clone(), error))?;
    let specified = Specified {
        module: specifications.join(compared.folder).join(compared.module),
        file: &file,
        source,
        states_max,
    };
    let report = (compared.compare)(&text, specified);
    report.map_err(|error| match error {
        Within::Bounds(error) => RunError::Bounds(file.clone(), error),
        Within::Run(error) => error,
    })
}
