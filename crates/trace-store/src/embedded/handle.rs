//! The store as its users hold it: opened again after it has stopped, when the disk has room again.
//!
//! A write that fails leaves a journal of which nobody knows how much is there, so the tree takes no more of them
//! until it was opened again, which reads the journal back and cuts off what is not whole. When a put has failed
//! for want of room, or when the tree could not write the files that follow a journal, the next put opens it
//! again. Other failures of a put are left to whoever operates it: a disk that loses writes is not to be trusted.
//!
//! What is read back may be in the system's memory only, because a sync that failed is not repeated by the
//! system. So all of it is written to new files before the store goes on.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use quorate_trace::TraceId;
use quorate_trace::wire::SpanKind;

use super::Tree;
use crate::{
    Base, Expired, Figures, Found, Fragment, Query, Retention, StoreError, Stored, TagKeys,
    TraceStore,
};

/// How long it waits before it tries once more to open the tree.
const REST: Duration = Duration::from_secs(1);

/// A [`TraceStore`] in a directory, which one process has at a time.
pub struct EmbeddedStore {
    dir: PathBuf,
    /// `None` after it was closed to be opened again, and could not be.
    tree: RwLock<Option<Tree>>,
    trouble: Mutex<Trouble>,
}

/// What is known of failures.
#[derive(Default)]
struct Trouble {
    /// The tree has stopped, for want of room or behind our back.
    has_stopped: bool,
    /// The disk failed otherwise.
    is_broken: bool,
    /// When it was last tried to open the tree again.
    tried: Option<Instant>,
}

impl Trouble {
    fn note(&mut self, error: &StoreError) {
        match error {
            StoreError::Stopped => self.has_stopped = true,
            full if full.is_full() => self.has_stopped = true,
            StoreError::Io { .. } => self.is_broken = true,
            _ => {}
        }
    }
}

impl EmbeddedStore {
    /// Opens the store in `dir`, creating it if it is missing.
    ///
    /// # Errors
    ///
    /// If another process has it open, or if it cannot be read or written.
    pub fn open(dir: &Path) -> Result<EmbeddedStore, StoreError> {
        Ok(EmbeddedStore {
            dir: dir.to_owned(),
            tree: RwLock::new(Some(Tree::open(dir)?)),
            trouble: Mutex::default(),
        })
    }

    fn read<T>(&self, ask: impl FnOnce(&Tree) -> Result<T, StoreError>) -> Result<T, StoreError> {
        ask(self.tree.read().as_ref().ok_or(StoreError::Stopped)?)
    }

    fn write<T>(&self, act: impl FnOnce(&Tree) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.recover()?;
        let result = self.read(act);
        if let Err(error) = &result {
            self.trouble.lock().note(error);
        }
        result
    }

    /// Opens the tree again if it has stopped.
    fn recover(&self) -> Result<(), StoreError> {
        let mut trouble = self.trouble.lock();
        if !trouble.has_stopped || trouble.is_broken {
            return Ok(());
        }
        if trouble.tried.is_some_and(|tried| tried.elapsed() < REST) {
            return Err(StoreError::Stopped);
        }
        let opened = self.open_again();
        trouble.tried = Some(Instant::now());
        trouble.has_stopped = opened.is_err();
        opened
    }

    /// Waits for whoever reads.
    fn open_again(&self) -> Result<(), StoreError> {
        let mut tree = self.tree.write();
        // It holds the directory.
        *tree = None;
        tree.insert(Tree::open(&self.dir)?).flush()
    }
}

impl TraceStore for EmbeddedStore {
    fn put(&self, fragments: &[Fragment]) -> Result<(), StoreError> {
        self.write(|tree| tree.put(fragments))
    }

    fn base(&self, trace: TraceId) -> Result<Option<Base>, StoreError> {
        // What it knows of must be durable: who asks lets go of what is here.
        self.write(|tree| tree.base(trace))
    }

    fn get(&self, trace: TraceId) -> Result<Option<Stored>, StoreError> {
        self.read(|tree| tree.get(trace))
    }

    fn search(&self, query: &Query) -> Result<Found, StoreError> {
        self.read(|tree| tree.search(query))
    }

    fn services(&self) -> Vec<String> {
        let tree = self.tree.read();
        tree.as_ref().map(Tree::services).unwrap_or_default()
    }

    fn operations(&self, service: &str, kind: Option<SpanKind>) -> Vec<(String, SpanKind)> {
        let tree = self.tree.read();
        let operations = tree.as_ref().map(|tree| tree.operations(service, kind));
        operations.unwrap_or_default()
    }

    fn tag_keys(&self) -> Result<TagKeys, StoreError> {
        self.read(Tree::tag_keys)
    }

    fn tag_values(&self, key: &str) -> Result<Vec<String>, StoreError> {
        self.read(|tree| tree.tag_values(key))
    }

    fn figures(&self) -> Figures {
        let tree = self.tree.read();
        tree.as_ref().map(Tree::figures).unwrap_or_default()
    }

    fn expire(&self, retention: &Retention) -> Result<Expired, StoreError> {
        self.write(|tree| tree.expire(retention))
    }
}

impl std::fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("EmbeddedStore").field(&self.dir).finish()
    }
}
