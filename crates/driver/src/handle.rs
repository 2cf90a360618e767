//! Starting a driver, and talking to it.

use crate::driver::{Counters, Driver};
use crate::edge::{DrivenMachine, Edge, Inbox, Log, LogError, Network, Waiting};
use crate::event_log::{Fingerprint, Recorder};
use quorate_handoff::{Budget, Signals};
use quorate_machine::{Event, GroupId, Machine};
use quorate_transport::Wire;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// How to drive one group.
#[derive(Clone, Debug)]
pub struct DriverConfig {
    /// The group, on the network and in the log.
    pub group: GroupId,
    /// The length of a timer tick.
    pub tick: Duration,
    /// How many events may wait to be stepped.
    pub inbox: usize,
    /// How many bytes of messages from peers may be among them.
    pub inbox_bytes: u64,
    /// How many of them are stepped in one turn.
    pub turn: usize,
    /// While more bytes than this wait for the disk, no event is taken from the inbox.
    pub unsynced_bytes: u64,
    /// Seeds the draws of timers; from the operating system if `None`. Nodes with the same seed draw
    /// the same, so elections that collide once go on colliding.
    pub seed: Option<u64>,
    /// The directory in which every start of the driver records its events, for [`replay()`](crate::replay()).
    pub event_log: Option<PathBuf>,
}

impl DriverConfig {
    /// Ten milliseconds a tick, and generous bounds.
    pub fn new(group: GroupId) -> Self {
        DriverConfig {
            group,
            tick: Duration::from_millis(10),
            inbox: 16 << 10,
            inbox_bytes: 64 << 20,
            turn: 1 << 10,
            unsynced_bytes: 64 << 20,
            seed: None,
            event_log: None,
        }
    }
}

/// Why a driver did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The durable records could not be read.
    #[error("cannot replay the log: {0}")]
    Replay(#[source] LogError),
    /// The event log could not be created.
    #[error("cannot create the event log: {0}")]
    EventLog(#[source] std::io::Error),
}

/// The driver has stopped and takes nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the group has stopped")]
pub struct Closed;

/// Why a command was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrySubmitError {
    /// Too much is waiting already; what gRPC calls `RESOURCE_EXHAUSTED`.
    #[error("the group has too much to do")]
    Full,
    /// The driver has stopped.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// What a driver has done since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DriverStats {
    /// Turns.
    pub turns: u64,
    /// Steps of the machine.
    pub steps: u64,
    /// Messages from peers dropped because the inbox was full.
    pub dropped_full: u64,
    /// Messages handed to the network, for other nodes.
    pub sent: u64,
}

/// Starts the machine of `config.group` from its durable records and drives it until it is shut down.
///
/// `outputs` is called with every output, as it is let go, on the driver's task: it must not block. It is
/// dropped when the driver stops.
///
/// Reads the durable records before it returns, so it may block; must be called within a tokio runtime.
pub fn spawn<M: DrivenMachine>(
    config: DriverConfig,
    machine_config: M::Config,
    log: impl Log,
    network: impl Network,
    outputs: impl FnMut(M::Output) + Send + 'static,
) -> Result<Handle<M>, StartError> {
    spawn_recovered(config, machine_config, log, network, |_| outputs)
}

/// The same for who has to know what was recovered: `recovered` is shown what the durable records come to,
/// before anything else happens, and makes the callback for outputs.
pub fn spawn_recovered<M: DrivenMachine, O: FnMut(M::Output) + Send + 'static>(
    config: DriverConfig,
    machine_config: M::Config,
    log: impl Log,
    network: impl Network,
    recovered: impl FnOnce(&M::Durable) -> O,
) -> Result<Handle<M>, StartError> {
    let (durable, fingerprint) = recover::<M>(&config, &log).map_err(StartError::Replay)?;
    let recorder = match &config.event_log {
        None => None,
        Some(folder) => Some(
            Recorder::create(folder, network.me(), config.group, fingerprint)
                .map_err(StartError::EventLog)?,
        ),
    };
    let (sender, events) = mpsc::channel(config.inbox.max(1));
    let budget = Arc::new(Budget::new(config.inbox_bytes));
    let inbox = Inbox {
        events,
        budget: budget.clone(),
    };
    let (running, stopped) = watch::channel(());
    let handle = Handle {
        inbox: sender.clone(),
        signals: Arc::new(Signals::default()),
        counters: Arc::new(Counters::default()),
        stopped,
    };
    let edge = Edge {
        inbox: sender,
        budget,
        counters: handle.counters.clone(),
    };
    let group = config.group;
    let driver = Driver::start(
        config,
        machine_config,
        &durable,
        log,
        network.clone(),
        recovered(&durable),
        inbox,
        handle.signals.clone(),
        handle.counters.clone(),
        recorder,
    );
    network.register(group, Arc::new(edge));
    tokio::spawn(async move {
        // Dropped with the task, also when the machine panics: that is how others learn of its end.
        let _running = running;
        driver.run().await;
    });
    Ok(handle)
}

/// Folds the durable records; for the event log, also how many they are and what they hash to.
fn recover<M: DrivenMachine>(
    config: &DriverConfig,
    log: &impl Log,
) -> Result<(M::Durable, Fingerprint), LogError> {
    let mut durable = M::Durable::default();
    let mut fingerprint = Fingerprint::default();
    let fingerprinted = config.event_log.is_some();
    log.replay(config.group, &mut |bytes| {
        if fingerprinted {
            fingerprint.add(&bytes);
        }
        M::apply(&mut durable, &M::Record::decode(bytes)?);
        Ok(())
    })?;
    Ok((durable, fingerprint))
}

/// A driver's other end, for local clients. Cheap to clone.
pub struct Handle<M: Machine> {
    inbox: mpsc::Sender<Waiting<M>>,
    signals: Arc<Signals>,
    counters: Arc<Counters>,
    stopped: watch::Receiver<()>,
}

impl<M: Machine> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Handle {
            inbox: self.inbox.clone(),
            signals: self.signals.clone(),
            counters: self.counters.clone(),
            stopped: self.stopped.clone(),
        }
    }
}

impl<M: Machine> Handle<M> {
    /// Gives the machine a command, once there is room for it.
    ///
    /// That it was taken does not mean that it will be stepped: the node may stop before.
    pub async fn submit(&self, command: M::Command) -> Result<(), Closed> {
        let sent = self.inbox.send(waiting(command)).await;
        sent.map_err(|_| Closed)
    }

    /// Gives the machine a command if there is room for it.
    pub fn try_submit(&self, command: M::Command) -> Result<(), TrySubmitError> {
        use mpsc::error::TrySendError;
        match self.inbox.try_send(waiting(command)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(TrySubmitError::Full),
            Err(TrySendError::Closed(_)) => Err(TrySubmitError::Closed(Closed)),
        }
    }

    /// Shows `look` the machine as it is once the events before are stepped, and returns what it sees. That
    /// includes what is not durable yet. It is no event: the machine does not learn of it, and no event log
    /// tells of it. It takes its turn like a command, and holds up the driver for as long as it takes.
    ///
    /// # Errors
    ///
    /// If the driver has stopped.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&M) -> T + Send + 'static,
    ) -> Result<T, Closed> {
        let (sender, seen) = oneshot::channel();
        let look = Box::new(move |machine: &M| {
            // Whoever asked may have gone.
            let _ = sender.send(look(machine));
        });
        let sent = self.inbox.send(Waiting::Look(look)).await;
        sent.map_err(|_| Closed)?;
        seen.await.map_err(|_| Closed)
    }

    /// Stops the driver: it takes no more events, waits for the syncs in flight, releases what they
    /// were waited for, and ends. Events that were not stepped are lost, as in a crash.
    pub async fn shutdown(self) {
        self.signals.stop();
        self.stopped().await;
    }

    /// Waits until the driver has stopped, for whatever reason: a machine that panics stops it too.
    pub async fn stopped(&self) {
        let mut stopped = self.stopped.clone();
        // Nothing is ever sent, so this returns when the driver's end is dropped.
        while stopped.changed().await.is_ok() {}
    }

    /// What the driver has done.
    pub fn stats(&self) -> DriverStats {
        DriverStats {
            turns: self.counters.turns.load(Ordering::Relaxed),
            steps: self.counters.steps.load(Ordering::Relaxed),
            dropped_full: self.counters.dropped_full.load(Ordering::Relaxed),
            sent: self.counters.sent.load(Ordering::Relaxed),
        }
    }
}

fn waiting<M: Machine>(command: M::Command) -> Waiting<M> {
    Waiting::Event {
        event: Event::Command(command),
        bytes: 0,
    }
}
