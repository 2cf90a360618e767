//! TLC and the comparison, one after the other.

use crate::raft::RaftSubject;
use crate::{Bounds, BoundsError, CompareError, Pool, Report, Tlc, TlcError, compare};
use std::io;
use std::path::{Path, PathBuf};

/// The module whose actions have the names that the comparison knows.
const MODULE: &str = "MCRaftRefine.tla";

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration cannot be read.
    #[error("{0} cannot be read")]
    Configuration(PathBuf, #[source] io::Error),
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

/// Compares Raft in Rust with `MCRaftRefine.tla` in the folder `specification`, within the bounds of a
/// configuration there, named without `.cfg`.
///
/// # Errors
///
/// If either graph cannot be had whole. That they differ is no error: see [`Report::refines`].
pub fn run(
    specification: &Path,
    configuration: &str,
    tlc: &Tlc,
    states_max: usize,
) -> Result<Report, RunError> {
    let file = specification.join(format!("{configuration}.cfg"));
    let text = std::fs::read_to_string(&file);
    let text = text.map_err(|error| RunError::Configuration(file.clone(), error))?;
    let bounds = Bounds::parse(&text).map_err(|error| RunError::Bounds(file.clone(), error))?;
    let mut pool = Pool::default();
    let graph = tlc.graph(&specification.join(MODULE), &file, &mut pool)?;
    Ok(compare(
        &RaftSubject::new(bounds),
        &graph,
        &mut pool,
        states_max,
    )?)
}
