//! The log of a run, line by line: for people, and as a digest to compare two runs with.

use crate::Time;
use std::collections::VecDeque;
use std::fmt::Display;
use xxhash_rust::xxh3::Xxh3;

/// How much of a run's log is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Nothing is written: the fastest.
    #[default]
    Nothing,
    /// The last so many lines.
    Last(usize),
    /// Everything.
    All,
}

/// A log that is being written.
pub(crate) struct Journal {
    keep: Keep,
    lines: VecDeque<String>,
    digest: Xxh3,
}

impl Journal {
    pub(crate) fn new(keep: Keep) -> Self {
        Journal {
            keep,
            lines: VecDeque::new(),
            digest: Xxh3::new(),
        }
    }

    /// Adds a line, which is not even made if nobody wants it.
    pub(crate) fn note<L: Display>(&mut self, now: Time, line: impl FnOnce() -> L) {
        let most = match self.keep {
            Keep::Nothing => return,
            Keep::Last(lines) => lines.max(1),
            Keep::All => usize::MAX,
        };
        let line = format!("{now:>14}  {}", line());
        self.digest.update(line.as_bytes());
        self.digest.update(b"\n");
        if self.lines.len() >= most {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The lines that were kept, and the digest of all; without a digest if nothing was written.
    pub(crate) fn finish(self) -> (Vec<String>, Option<u64>) {
        let digest = (self.keep != Keep::Nothing).then(|| self.digest.digest());
        (self.lines.into(), digest)
    }
}
