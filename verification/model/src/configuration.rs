//! The protocols that are checked here, each in several configurations.

use crate::protocol::Bound;
use crate::{CheckError, LivenessReport, Options, Protocol, Report, Scope};
use crate::{assembly, broadcast, commit, paxos, raft, specimens};
use crate::{check, check_liveness, explore};
use std::io;
use std::net::SocketAddr;

/// A [`Protocol`] whose types are forgotten, so that the configurations of all protocols fit one list.
pub trait Configuration {
    /// See [`Protocol::name`].
    fn title(&self) -> &str;
    /// The bounds, as [`Report::bounds`] tells them.
    fn limits(&self) -> Vec<Bound>;
    /// See [`check()`](crate::check()).
    ///
    /// # Errors
    ///
    /// See [`CheckError`].
    fn check(self: Box<Self>, options: Options) -> Result<Report, CheckError>;
    /// See [`check_liveness`].
    ///
    /// # Errors
    ///
    /// See [`CheckError`].
    fn check_liveness(self: Box<Self>, options: Options) -> Result<LivenessReport, CheckError>;
    /// See [`explore()`](crate::explore()).
    ///
    /// # Errors
    ///
    /// If the address cannot be bound.
    fn explore(
        self: Box<Self>,
        address: SocketAddr,
        ready: Box<dyn FnOnce(SocketAddr)>,
    ) -> io::Result<()>;
}

impl<P: Protocol> Configuration for P {
    fn title(&self) -> &str {
        Protocol::name(self)
    }

    fn limits(&self) -> Vec<Bound> {
        Protocol::bounds(self).list(self.nodes().len())
    }

    fn check(self: Box<Self>, options: Options) -> Result<Report, CheckError> {
        check(*self, options)
    }

    fn check_liveness(self: Box<Self>, options: Options) -> Result<LivenessReport, CheckError> {
        check_liveness(*self, options)
    }

    fn explore(
        self: Box<Self>,
        address: SocketAddr,
        ready: Box<dyn FnOnce(SocketAddr)>,
    ) -> io::Result<()> {
        explore(*self, address, ready)
    }
}

/// A protocol of [`PROTOCOLS`].
pub struct Registered {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it promises, in a line.
    pub promise: &'static str,
    /// Its configurations in a scope, in the order in which they are checked.
    pub configurations: fn(Scope) -> Vec<Box<dyn Configuration>>,
    /// Those of which liveness is decided, by [`Configuration::check_liveness`].
    pub liveness: fn(Scope) -> Vec<Box<dyn Configuration>>,
}

/// Every protocol that is checked here; a new one adds its line.
pub const PROTOCOLS: &[Registered] = &[
    Registered {
        name: "raft",
        promise: "one log on all nodes; clients see one object, whatever crashes",
        configurations: |scope| boxed(raft::scope(scope)),
        liveness: |scope| boxed(raft::liveness::scope(scope)),
    },
    Registered {
        name: "paxos",
        promise: "a decision is made once, whoever proposes and whatever crashes",
        configurations: |scope| boxed(paxos::scope(scope)),
        liveness: |scope| boxed(paxos::liveness::scope(scope)),
    },
    Registered {
        name: "assembly",
        promise: "no accepted span is lost or stored twice; a trace is called complete only if it is",
        configurations: |scope| boxed(assembly::scope(scope)),
        liveness: |_| boxed(assembly::scope(Scope::Quick)),
    },
    Registered {
        name: "broadcast",
        promise: "every member delivers every message, each after its causes, whoever crashes",
        configurations: |scope| boxed(broadcast::scope(scope)),
        liveness: |scope| boxed(broadcast::liveness::scope(scope)),
    },
    Registered {
        name: "commit",
        promise: "a transaction takes effect at every participant or at none, whatever crashes",
        configurations: |scope| boxed(commit::scope(scope)),
        liveness: |scope| boxed(commit::liveness::scope(scope)),
    },
    Registered {
        name: "specimens",
        promise: "designs that are known to be wrong: each must be refuted, by the property it is kept for",
        configurations: |_| specimens::all(),
        liveness: |_| Vec::new(),
    },
];

fn boxed<P: Protocol>(configurations: Vec<P>) -> Vec<Box<dyn Configuration>> {
    let boxed = |one| Box::new(one) as Box<dyn Configuration>;
    configurations.into_iter().map(boxed).collect()
}
