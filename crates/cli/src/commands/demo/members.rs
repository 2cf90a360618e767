//! Members as processes of this binary, which end with their owner.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use quorate_kv::{Client, ClientOptions};
use rand::Rng;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::outcome::Failure;

const MEMBERS: u32 = 3;

/// Below the range that systems take the ports of outgoing connections from (32768 on Linux): the port of
/// a member that is down is then not taken by a connection before it returns.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// How often a member is asked how far it is.
const POLL: Duration = Duration::from_millis(5);

/// The last lines of a member's log that explain a failure.
const LINES_SHOWN: usize = 5;

/// Who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leader {
    pub(super) id: u32,
    pub(super) term: u64,
}

/// The members, and the directory of all that they write. Dropped, the processes end and the directory is
/// removed.
pub(super) struct Members {
    // Before the directory, so that they have ended when it is removed.
    members: BTreeMap<u32, Member>,
    dir: TempDir,
}

struct Member {
    client: String,
    process: Option<Process>,
}

/// A process that is killed when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Members {
    /// Members with configurations, none of them started.
    pub(super) fn create() -> Result<Self, Failure> {
        let dir = tempfile::Builder::new()
            .prefix("quorate-demo-")
            .tempdir()
            .map_err(Failure::local("creating a temporary directory"))?;
        let ports = free_ports(2 * MEMBERS as usize)
            .map_err(Failure::local("looking for free ports on 127.0.0.1"))?;
        let addresses: Vec<[String; 2]> = ports
            .chunks_exact(2)
            .map(|pair| [pair[0], pair[1]].map(|port| format!("127.0.0.1:{port}")))
            .collect();
        let mut members = BTreeMap::new();
        for (id, [_, client]) in (1..).zip(&addresses) {
            let text = config(dir.path(), id, &addresses);
            let path = config_path(dir.path(), id);
            fs::write(&path, text)
                .map_err(Failure::local(format!("writing {}", path.display())))?;
            let (client, process) = (client.clone(), None);
            members.insert(id, Member { client, process });
        }
        Ok(Members { members, dir })
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn ids(&self) -> Vec<u32> {
        self.members.keys().copied().collect()
    }

    /// Where member `id` has its configuration.
    pub(super) fn config(&self, id: u32) -> PathBuf {
        config_path(self.dir.path(), id)
    }

    /// The client addresses of all members.
    pub(super) fn endpoints(&self) -> Vec<String> {
        self.members
            .values()
            .map(|member| member.client.clone())
            .collect()
    }

    /// The ids of the members that run, for reading.
    pub(super) fn running(&self) -> String {
        let running = self
            .members
            .iter()
            .filter(|(_, member)| member.process.is_some());
        let ids: Vec<_> = running.map(|(id, _)| id.to_string()).collect();
        ids.join(" and ")
    }

    /// Whether the process of member `id` was started and not killed.
    pub(super) fn runs(&self, id: u32) -> bool {
        let member = self.members.get(&id);
        member.is_some_and(|member| member.process.is_some())
    }

    pub(super) fn start(&mut self, id: u32) -> Result<(), Failure> {
        let attempt = format!("starting member {id}");
        let config = self.config(id);
        let program = std::env::current_exe().map_err(Failure::local(&attempt))?;
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log(id))
            .map_err(Failure::local(&attempt))?;
        let child = Command::new(program)
            .arg("node")
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // A group of its own: Ctrl-C ends the demo, which then ends its members.
            .process_group(0)
            .spawn()
            .map_err(Failure::local(&attempt))?;
        if let Some(member) = self.members.get_mut(&id) {
            member.process = Some(Process(child));
        }
        Ok(())
    }

    /// Ends a member with SIGKILL: it gets no chance to say or to write anything.
    pub(super) fn kill(&mut self, id: u32) -> Result<(), Failure> {
        let process = self
            .members
            .get_mut(&id)
            .and_then(|member| member.process.take());
        match process {
            Some(mut process) => {
                let killed = process.0.kill().and_then(|()| process.0.wait());
                killed
                    .map(drop)
                    .map_err(Failure::local(format!("killing member {id}")))
            }
            None => Err(Failure::Fault(format!("member {id} does not run"))),
        }
    }

    /// The process and the address of a member, for reading.
    pub(super) fn describe(&self, id: u32) -> String {
        self.members.get(&id).map_or_else(String::new, |member| {
            let process = member.process.as_ref();
            let pid = process.map_or("none".to_owned(), |process| process.0.id().to_string());
            format!("process {pid}, for clients on {}", member.client)
        })
    }

    /// The leader of a term after `term`, once there is one.
    pub(super) async fn leader_after(
        &mut self,
        term: u64,
        patience: Duration,
    ) -> Result<Leader, Failure> {
        let began = Instant::now();
        let client = self.client(self.endpoints())?;
        loop {
            self.check_processes()?;
            let statuses = client.status().await;
            let answers = statuses.into_iter().filter_map(|(_, answer)| answer.ok());
            let leads = answers.filter(|status| status.role == "leader" && status.term > term);
            if let Some(status) = leads.max_by_key(|status| status.term) {
                let (id, term) = (status.id, status.term);
                return Ok(Leader { id, term });
            }
            wait(began, patience, "no leader was elected").await?;
        }
    }

    /// The last entry that member `id` has applied.
    pub(super) async fn applied(&self, id: u32) -> Result<u64, Failure> {
        let answer = self.try_applied(id).await?;
        answer.map_err(|why| Failure::Cluster(format!("member {id}: {why}")))
    }

    /// Waits until member `id` has applied entry `target`.
    pub(super) async fn caught_up(
        &mut self,
        id: u32,
        target: u64,
        patience: Duration,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        loop {
            self.check_processes()?;
            let applied = self.try_applied(id).await?;
            if applied.is_ok_and(|applied| applied >= target) {
                return Ok(());
            }
            wait(began, patience, "a member does not catch up").await?;
        }
    }

    async fn try_applied(&self, id: u32) -> Result<Result<u64, String>, Failure> {
        let endpoint = self.members.get(&id).map(|member| member.client.clone());
        let client = self.client(endpoint)?;
        let mut statuses = client.status().await;
        let answer = statuses
            .pop()
            .map_or(Err("unknown".to_owned()), |(_, answer)| answer);
        Ok(answer.map(|status| status.applied))
    }

    fn client(&self, endpoints: impl IntoIterator<Item = String>) -> Result<Client, Failure> {
        let options = ClientOptions {
            attempt_timeout: Duration::from_secs(1),
            ..ClientOptions::default()
        };
        Ok(Client::new(endpoints, options)?)
    }

    /// A member that ends by itself ends the demo.
    fn check_processes(&mut self) -> Result<(), Failure> {
        for (id, member) in &mut self.members {
            let Some(process) = &mut member.process else {
                continue;
            };
            let ended = process.0.try_wait();
            let ended = ended.map_err(Failure::local(format!("watching member {id}")))?;
            if let Some(status) = ended {
                return Err(Failure::Cluster(format!(
                    "member {id} ended by itself: {status}"
                )));
            }
        }
        Ok(())
    }

    /// The failure with what the members said last, as their logs are about to be removed.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        let Failure::Cluster(mut text) = failure else {
            return failure;
        };
        for id in self.ids() {
            let log = fs::read_to_string(self.log(id)).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            for line in &lines[lines.len().saturating_sub(LINES_SHOWN)..] {
                // Writing to a string does not fail.
                let _ = write!(text, "\n  member {id}: {line}");
            }
        }
        Failure::Cluster(text)
    }

    /// Leaves processes and directory to the user; how to go on with them, `talk` first.
    pub(super) fn keep(mut self, talk: &str) -> String {
        let endpoints = self.endpoints().join(",");
        let mut pids = Vec::new();
        for member in self.members.values_mut() {
            if let Some(process) = member.process.take() {
                pids.push(process.0.id().to_string());
                // Without its drop, which would kill it.
                std::mem::forget(process);
            }
        }
        let pids = pids.join(" ");
        self.dir.disable_cleanup(true);
        let dir = self.dir.path().display();
        // Whoever runs it by `cargo run` does not have it on the path.
        let program = std::env::current_exe().unwrap_or_else(|_| "quorate".into());
        format!(
            "alias quorate={}\n\
             export QUORATE_ENDPOINTS={endpoints}\n\
             {talk}\n\
             quorate replay {dir}\n\
             kill {pids}; rm -r {dir}    # ends it",
            program.display()
        )
    }

    fn log(&self, id: u32) -> PathBuf {
        self.dir.path().join(format!("member{id}.log"))
    }
}

async fn wait(began: Instant, patience: Duration, otherwise: &str) -> Result<(), Failure> {
    if began.elapsed() > patience {
        return Err(Failure::Cluster(format!("{otherwise} within {patience:?}")));
    }
    sleep(POLL).await;
    Ok(())
}

fn config_path(dir: &Path, id: u32) -> PathBuf {
    dir.join(format!("member{id}.toml"))
}

/// The configuration of member `id`, as anybody would write it.
fn config(dir: &Path, id: u32, addresses: &[[String; 2]]) -> String {
    let path = |name: &str| {
        let path = dir.join(format!("{name}{id}"));
        toml::Value::from(path.to_string_lossy().into_owned())
    };
    let mut text = format!(
        "cluster = \"demo\"\nid = {id}\ndata = {}\nevent_log = {}\n",
        path("data"),
        path("events")
    );
    for (id, [peer, client]) in (1..).zip(addresses) {
        text += &format!("\n[members.{id}]\npeer = \"{peer}\"\nclient = \"{client}\"\n");
    }
    text
}

/// Ports on which nobody listens now.
fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let mut held: Vec<TcpListener> = Vec::new();
    let mut ports = Vec::new();
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..1_000 {
        if ports.len() == count {
            return Ok(ports);
        }
        let port = rand::rng().random_range(PORTS);
        match TcpListener::bind(("127.0.0.1", port)) {
            // Held until all are found, so that none is found twice.
            Ok(listener) => {
                held.push(listener);
                ports.push(port);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ() {
        let mut ports = free_ports(20).unwrap();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 20);
    }

    #[test]
    fn a_path_with_quotes_stays_one_path() {
        let address = |port| format!("127.0.0.1:{port}");
        let text = config(Path::new("/tmp/a \"b\""), 1, &[[address(1), address(2)]]);
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["data"].as_str(), Some("/tmp/a \"b\"/data1"));
    }
}
