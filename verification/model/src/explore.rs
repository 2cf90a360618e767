//! Walking through the states by hand, in a browser.

use crate::{Protocol, System};
use stateright::Model;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// Serves stateright's explorer for `protocol` at `address`, until the process ends.
///
/// `ready` is told the address just before the explorer listens there; with port 0 it is the one
/// that the system chose.
///
/// # Errors
///
/// If the address cannot be bound.
///
/// # Panics
///
/// As [`System::new`].
pub fn explore<P: Protocol>(
    protocol: P,
    address: SocketAddr,
    ready: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    // stateright panics when it cannot bind, so the address is tried first.
    let address = TcpListener::bind(address)?.local_addr()?;
    let checker = System::new(Arc::new(protocol)).checker();
    ready(address);
    let _ = checker.serve(address);
    Ok(())
}
