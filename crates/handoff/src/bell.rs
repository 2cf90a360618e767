//! Wakes one task.

use crate::sync::{AtomicBool, AtomicWaker, Ordering};
use std::future::poll_fn;
use std::task::{Context, Poll};

/// Tells one task that there is something to look at. Any thread rings; the task listens.
///
/// Rings do not add up: the task looks at everything when it hears one. A ring while nobody listens is
/// heard by whoever listens next, so there is no moment at which it could be lost. What was written
/// before a ring is visible to the task once it has heard it.
#[derive(Default)]
pub struct Bell {
    rung: AtomicBool,
    listener: AtomicWaker,
}

impl Bell {
    /// Rings; never waits.
    pub fn ring(&self) {
        // Whoever finds the bell silent wakes the task, for all who ring until it has heard them.
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.listener.wake();
        }
    }

    /// Ready if the bell was rung since it was last heard; otherwise wakes the task when it is.
    pub fn poll_heard(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.rung.swap(false, Ordering::AcqRel) {
            return Poll::Ready(());
        }
        self.listener.register(cx.waker());
        // Somebody may have rung before there was anybody to wake.
        match self.rung.swap(false, Ordering::AcqRel) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Waits for a ring. Only one task may listen at a time; giving up loses nothing.
    pub async fn heard(&self) {
        poll_fn(|cx| self.poll_heard(cx)).await;
    }
}
