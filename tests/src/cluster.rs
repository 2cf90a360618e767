//! Members as processes.

use crate::binary;
use crate::namespaces::Namespaces;
pub use crate::process::Ended;
use crate::process::{Process, free_addresses};
use crate::wait::{eventually, until};
use quorate_kv::proto::StatusResponse;
use quorate_kv::{Client, ClientOptions};
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Lines of a member's log that are printed when a test fails.
const LINES_SHOWN: usize = 60;

/// Who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The member.
    pub id: u32,
    /// Its term.
    pub term: u64,
}

/// How a cluster is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Whether members record their events.
    pub event_log: bool,
    /// The range of election timeouts, in ticks of ten milliseconds.
    pub election_ticks: [u32; 2],
}

impl Default for Setup {
    /// Without event logs, and with elections that do not keep a test waiting.
    fn default() -> Self {
        Setup {
            event_log: false,
            election_ticks: [40, 80],
        }
    }
}

/// A cluster of three members. When it is dropped its processes end, and if the test fails their logs are
/// printed.
pub struct Cluster {
    // Before the directory, so that they have ended when it is removed.
    members: Vec<Member>,
    setup: Setup,
    network: Option<Namespaces>,
    dir: TempDir,
}

struct Member {
    peer: String,
    client: String,
    process: Option<Process>,
}

impl Cluster {
    /// Three members that run.
    pub fn start(setup: Setup) -> Self {
        let mut cluster = Self::create(setup);
        for id in cluster.ids() {
            cluster.start_member(id);
        }
        cluster
    }

    /// Three members with configurations, none of which runs.
    pub fn create(setup: Setup) -> Self {
        Self::create_with(setup, free_addresses::<3>(), None)
    }

    /// The same, each in a network namespace of its own.
    pub fn create_in(setup: Setup, network: Namespaces) -> Self {
        Self::create_with(setup, network.addresses(), Some(network))
    }

    fn create_with(setup: Setup, addresses: [[String; 2]; 3], network: Option<Namespaces>) -> Self {
        let dir = TempDir::with_prefix("quorate-test-").expect("a temporary directory");
        let member = |[peer, client]: [String; 2]| Member {
            peer,
            client,
            process: None,
        };
        let cluster = Cluster {
            members: addresses.map(member).into(),
            setup,
            network,
            dir,
        };
        for id in cluster.ids() {
            cluster.write_config(id, |config| config);
        }
        cluster
    }

    /// The ids of all members.
    pub fn ids(&self) -> Vec<u32> {
        (1..).take(self.members.len()).collect()
    }

    /// All members but `id`.
    pub fn others(&self, id: u32) -> Vec<u32> {
        self.ids()
            .into_iter()
            .filter(|other| *other != id)
            .collect()
    }

    fn member(&self, id: u32) -> &Member {
        &self.members[id as usize - 1]
    }

    fn member_mut(&mut self, id: u32) -> &mut Member {
        &mut self.members[id as usize - 1]
    }

    /// Where peers reach member `id`.
    pub fn peer_address(&self, id: u32) -> &str {
        &self.member(id).peer
    }

    /// Where clients reach member `id`.
    pub fn client_address(&self, id: u32) -> &str {
        &self.member(id).client
    }

    /// The client addresses of all members.
    pub fn endpoints(&self) -> Vec<String> {
        self.members
            .iter()
            .map(|member| member.client.clone())
            .collect()
    }

    /// The configuration file of member `id`.
    pub fn config(&self, id: u32) -> PathBuf {
        self.dir.path().join(format!("member{id}.toml"))
    }

    /// The data directory of member `id`.
    pub fn data(&self, id: u32) -> PathBuf {
        self.dir.path().join(format!("data{id}"))
    }

    /// The directory of the event logs of member `id`.
    pub fn events(&self, id: u32) -> PathBuf {
        self.dir.path().join(format!("events{id}"))
    }

    /// The directory of everything.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes the configuration of member `id`, changed by `change`.
    pub fn write_config(&self, id: u32, change: impl FnOnce(String) -> String) {
        let path = |path: PathBuf| format!("{:?}", path.display().to_string());
        let Setup {
            event_log,
            election_ticks,
        } = self.setup;
        let mut text = format!(
            "cluster = \"test\"\nid = {id}\ndata = {}\n",
            path(self.data(id))
        );
        if event_log {
            text += &format!("event_log = {}\n", path(self.events(id)));
        }
        for (id, Member { peer, client, .. }) in (1..).zip(&self.members) {
            text += &format!("[members.{id}]\npeer = \"{peer}\"\nclient = \"{client}\"\n");
        }
        text += &format!("[raft]\nelection_ticks = {election_ticks:?}\nheartbeat_ticks = 5\n");
        fs::write(self.config(id), change(text)).expect("a configuration can be written");
    }

    /// Starts member `id` in its configuration, on whatever disk it has.
    pub fn start_member(&mut self, id: u32) {
        let mut command = match &self.network {
            None => Cluster::quorate(),
            Some(network) => network.command(id, &Cluster::quorate()),
        };
        command.arg("node").arg("--config").arg(self.config(id));
        let process = Process::start(&mut command, &self.log_path(id));
        let before = self.member_mut(id).process.replace(process);
        assert!(before.is_none(), "member {id} runs already");
    }

    /// The network of namespaces, if there is one.
    pub fn network(&self) -> Option<&Namespaces> {
        self.network.as_ref()
    }

    /// Ends member `id` with SIGKILL.
    pub fn kill(&mut self, id: u32) {
        let process = self.member_mut(id).process.take();
        drop(process.expect("a member that is killed runs"));
    }

    /// Sends a signal to member `id`.
    pub fn signal(&self, id: u32, signal: Signal) {
        let process = self.member(id).process.as_ref();
        process
            .expect("a member that gets a signal runs")
            .signal(signal);
    }

    /// Waits until the process of member `id` has ended by itself.
    pub async fn ended(&mut self, id: u32) -> Ended {
        let process = self.member_mut(id).process.take();
        process.expect("a member that ends runs").ended().await
    }

    /// Whether the process of member `id` runs.
    pub fn runs(&mut self, id: u32) -> bool {
        let process = self.member_mut(id).process.as_mut();
        process.is_some_and(Process::runs)
    }

    fn log_path(&self, id: u32) -> PathBuf {
        self.dir.path().join(format!("member{id}.log"))
    }

    /// What member `id` has said on standard error, in all its starts.
    pub fn log(&self, id: u32) -> String {
        // There is none before its first start.
        let bytes = fs::read(self.log_path(id)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until member `id` has said `words`.
    pub async fn says(&self, id: u32, words: &str) {
        let what = format!("member {id} says {words:?}");
        until(&what, || self.log(id).contains(words)).await;
    }

    /// The command `quorate` with its log as verbose as that of members.
    pub fn quorate() -> Command {
        let mut command = Command::new(binary::quorate());
        command.env("QUORATE_LOG", "info");
        command
    }

    /// A client of all members.
    pub fn client(&self, options: ClientOptions) -> Client {
        Client::new(self.endpoints(), options).expect("addresses of members are addresses")
    }

    /// A client that goes on until a leader is there.
    pub fn patient_client(&self) -> Client {
        self.client(ClientOptions {
            timeout: crate::wait::DEADLINE,
            attempt_timeout: Duration::from_millis(500),
            ..ClientOptions::default()
        })
    }

    /// What member `id` says of itself; nothing if it does not answer.
    pub async fn status(&self, id: u32) -> Option<StatusResponse> {
        let options = ClientOptions {
            attempt_timeout: Duration::from_secs(1),
            ..ClientOptions::default()
        };
        let client = Client::new([self.client_address(id)], options);
        let client = client.expect("the address of a member is an address");
        client
            .status()
            .await
            .pop()
            .and_then(|(_, answer)| answer.ok())
    }

    /// The leader, once there is one.
    pub async fn leader(&self) -> Leader {
        self.leader_after(0).await
    }

    /// The leader of a term after `term`, once there is one.
    pub async fn leader_after(&self, term: u64) -> Leader {
        eventually("a leader is elected", || async {
            let mut leader: Option<Leader> = None;
            for id in self.ids() {
                let Some(status) = self.status(id).await else {
                    continue;
                };
                let newer = leader.is_none_or(|leader| status.term > leader.term);
                if status.role == "leader" && status.term > term && newer {
                    let term = status.term;
                    leader = Some(Leader { id, term });
                }
            }
            leader
        })
        .await
    }

    /// The last entry that the leader has applied.
    pub async fn applied(&self) -> u64 {
        eventually("the leader says how far it is", || async {
            let leader = self.leader().await;
            Some(self.status(leader.id).await?.applied)
        })
        .await
    }

    /// Waits until member `id` has applied entry `index`.
    pub async fn caught_up(&self, id: u32, index: u64) {
        let what = format!("member {id} catches up to entry {index}");
        eventually(&what, || async {
            let status = self.status(id).await?;
            (status.applied >= index).then_some(())
        })
        .await;
    }

    /// Ends all members with SIGTERM: each must end in good order, and none may have panicked.
    pub async fn finish(mut self) {
        for id in self.ids() {
            if self.member(id).process.is_none() {
                continue;
            }
            self.signal(id, Signal::TERM);
            let ended = self.ended(id).await;
            assert_eq!(ended.code, Some(0), "member {id} ends in good order");
        }
        for id in self.ids() {
            let log = self.log(id);
            assert!(
                !log.contains("panicked at"),
                "member {id} has panicked:\n{log}"
            );
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for id in self.ids() {
            let log = self.log(id);
            let lines: Vec<&str> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
            eprintln!("---- member {id} ----\n{}", shown.join("\n"));
        }
    }
}
