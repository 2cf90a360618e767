//! The pool of sessions: each is used for one write at a time.

use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A session and the last sequence that was used in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Session {
    id: u64,
    sequence: u64,
}

/// The sessions of a client.
pub(super) struct Sessions {
    idle: Arc<Mutex<Vec<Session>>>,
    turns: Semaphore,
}

impl Sessions {
    /// A pool of at most `limit` sessions, none of them open yet.
    pub(super) fn new(limit: usize) -> Self {
        Sessions {
            idle: Arc::default(),
            turns: Semaphore::new(limit.clamp(1, Semaphore::MAX_PERMITS)),
        }
    }

    /// Waits for the right to use a session; it ends when what is returned is dropped.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Fails only when the semaphore is closed, which nobody does.
        self.turns.acquire().await.ok()
    }

    /// A session that is not in use. The one used last comes first, so that those which a burst needed
    /// expire.
    pub(super) fn idle(&self) -> Option<InUse> {
        let session = self.idle.lock().pop()?;
        Some(self.in_use(session))
    }

    /// A session that was just opened.
    pub(super) fn adopt(&self, id: u64) -> InUse {
        self.in_use(Session { id, sequence: 0 })
    }

    fn in_use(&self, session: Session) -> InUse {
        InUse {
            session: Some(session),
            idle: self.idle.clone(),
        }
    }
}

/// A session in use. It goes back to the pool when this is dropped, also when the write was given up:
/// the next one uses a later sequence, after which the one given up cannot be applied any more.
pub(super) struct InUse {
    session: Option<Session>,
    idle: Arc<Mutex<Vec<Session>>>,
}

impl InUse {
    pub(super) fn id(&self) -> u64 {
        self.session.map_or(0, |session| session.id)
    }

    /// The sequence of a new write.
    pub(super) fn next(&mut self) -> u64 {
        self.session.as_mut().map_or(0, |session| {
            session.sequence += 1;
            session.sequence
        })
    }

    /// The session is of no use any more.
    pub(super) fn expired(&mut self) {
        self.session = None;
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        if let Some(session) = self.session {
            self.idle.lock().push(session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_used_by_one_at_a_time_and_never_repeats_a_sequence() {
        let sessions = Sessions::new(2);
        let mut first = sessions.adopt(7);
        assert_eq!((first.id(), first.next()), (7, 1));
        assert!(sessions.idle().is_none());
        drop(first);
        let mut again = sessions.idle().unwrap();
        assert_eq!((again.id(), again.next()), (7, 2));
        assert!(sessions.idle().is_none());
    }

    #[test]
    fn an_expired_session_does_not_come_back() {
        let sessions = Sessions::new(2);
        sessions.adopt(7).expired();
        assert!(sessions.idle().is_none());
    }

    #[tokio::test]
    async fn there_are_as_many_turns_as_allowed() {
        let sessions = Sessions::new(1);
        let turn = sessions.turn().await;
        assert_eq!(sessions.turns.available_permits(), 0);
        drop(turn);
        assert_eq!(sessions.turns.available_permits(), 1);
    }
}
