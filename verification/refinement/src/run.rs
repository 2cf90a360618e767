//! TLC and the comparison, one after the other.

use crate::raft::RaftSubject;
use crate::{
    Bounds, BoundsError, CompareError, Graph, GraphError, Pool, Report, Tlc, TlcError, compare,
};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

/// The module whose actions have the names that the comparison knows.
const MODULE: &str = "MCRaftRefine.tla";

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file cannot be read.
    #[error("{0} cannot be read: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// A file has no graph.
    #[error("{0}: {1}")]
    Graph(PathBuf, #[source] GraphError),
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

/// Compares Raft in Rust with `MCRaftRefine.tla` in the folder `specification`, within the bounds of a
/// configuration there, named without `.cfg`.
///
/// # Errors
///
/// If either graph cannot be had whole. That they differ is no error: see [`Report::refines`].
pub fn run(
    specification: &Path,
    configuration: &str,
    source: &Source,
    states_max: usize,
) -> Result<Report, RunError> {
    let file = specification.join(format!("{configuration}.cfg"));
    let text = std::fs::read_to_string(&file);
    let text = text.map_err(|error| RunError::Io(file.clone(), error))?;
    let bounds = Bounds::parse(&text).map_err(|error| RunError::Bounds(file.clone(), error))?;
    let mut pool = Pool::default();
    let graph = match source {
        Source::Tlc(tlc) => tlc.graph(&specification.join(MODULE), &file, &mut pool)?,
        Source::File(path) => {
            let opened = std::fs::File::open(path);
            let opened = opened.map_err(|error| RunError::Io(path.clone(), error))?;
            let read = Graph::read(BufReader::with_capacity(1 << 20, opened), &mut pool);
            read.map_err(|error| RunError::Graph(path.clone(), error))?
        }
    };
    let subject = RaftSubject::new(bounds);
    Ok(compare(&subject, &graph, &mut pool, states_max)?)
}
