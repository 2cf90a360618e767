//! One process, and the addresses that it needs.

use crate::wait::eventually;
use rand::Rng;
use rustix::process::{Pid, Signal, kill_process};
use std::cell::RefCell;
use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Below the range that systems take the ports of outgoing connections from (32768 on Linux): the port of
/// a member that is down is then not taken by a connection before it returns.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// How a process has ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status; nothing if a signal ended it.
    pub code: Option<i32>,
}

/// A process that is killed when it is dropped.
pub(crate) struct Process(RefCell<Child>);

impl Process {
    /// Starts a command whose log is appended to the file at `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log can be opened"))
            .spawn();
        Process(RefCell::new(child.expect("the binary can be run")))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.borrow().id()).ok();
        let pid = pid.and_then(Pid::from_raw).expect("a process has an id");
        kill_process(pid, signal).expect("a child that was not waited for can be signalled");
    }

    pub(crate) fn runs(&mut self) -> bool {
        self.exit().is_none()
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.borrow().id()
    }

    fn exit(&self) -> Option<Ended> {
        let status = self.0.borrow_mut().try_wait();
        let status = status.expect("a child can be waited for")?;
        let code = status.code();
        Some(Ended { code })
    }

    pub(crate) async fn ended(self) -> Ended {
        eventually("the process ends", || async { self.exit() }).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.0.get_mut();
        // Fails only if it has ended already. SIGKILL ends a stopped process, too.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Pairs of addresses on which nobody listens now.
pub(crate) fn free_addresses<const N: usize>() -> [[String; 2]; N] {
    // Held until all are found, so that none is found twice.
    let mut held = Vec::new();
    let mut address = || {
        for _ in 0..1_000 {
            let address = format!("127.0.0.1:{}", rand::rng().random_range(PORTS));
            if let Ok(listener) = TcpListener::bind(&address) {
                held.push(listener);
                return address;
            }
        }
        panic!("no port of {PORTS:?} is free");
    };
    std::array::from_fn(|_| [address(), address()])
}
