//! A group whose outputs wait for the application.

use crate::{GroupError, GroupId, Node};
use quorate_driver::{Closed, DrivenMachine, Handle};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};

/// This node's part of a group, from [`Node::run`].
pub struct Running<M: DrivenMachine> {
    handle: Handle<M>,
    outputs: mpsc::Receiver<M::Output>,
}

impl<M: DrivenMachine> Running<M> {
    pub(crate) fn start(
        node: &Node,
        group: GroupId,
        config: M::Config,
        outputs: usize,
    ) -> Result<Self, GroupError> {
        let (sender, outputs) = mpsc::channel(outputs.max(1));
        let overrun = Arc::new(Notify::new());
        let tell = until_full(sender, overrun.clone());
        let handle = node.spawn::<M>(group, config, tell)?;
        tokio::spawn(stop_when_overrun(handle.clone(), overrun));
        Ok(Running { handle, outputs })
    }

    /// Gives the machine a command, once there is room for it. What becomes of it, the machine's
    /// outputs tell.
    ///
    /// # Errors
    ///
    /// If the group has stopped.
    pub async fn submit(&self, command: M::Command) -> Result<(), Closed> {
        self.handle.submit(command).await
    }

    /// The next output, in the order in which the machine made them; `None` once the group has stopped.
    pub async fn next(&mut self) -> Option<M::Output> {
        self.outputs.recv().await
    }

    /// The driver's handle, to submit from elsewhere.
    pub fn handle(&self) -> Handle<M> {
        self.handle.clone()
    }
}

/// Hands outputs to the application; after the first that finds no room, none any more, so that what
/// the application got has no gap.
fn until_full<T: Send>(
    sender: mpsc::Sender<T>,
    overrun: Arc<Notify>,
) -> impl FnMut(T) + Send + use<T> {
    let mut sender = Some(sender);
    move |output| {
        let full = sender.as_ref().is_some_and(|sender| {
            let sent = sender.try_send(output);
            matches!(sent, Err(mpsc::error::TrySendError::Full(_)))
        });
        if full {
            sender = None;
            overrun.notify_one();
        }
    }
}

async fn stop_when_overrun<M: DrivenMachine>(handle: Handle<M>, overrun: Arc<Notify>) {
    let stopped = handle.clone();
    tokio::select! {
        () = overrun.notified() => {
            tracing::error!("the application is too far behind with outputs: the group stops");
            handle.shutdown().await;
        }
        () = stopped.stopped() => {}
    }
}
