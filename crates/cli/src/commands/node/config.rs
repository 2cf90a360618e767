//! The configuration file of a member: read, checked, and told what is wrong with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate::raft::Config;
use quorate::{Member, NodeId, NodeOptions, Tuning};
use quorate_kv::Map;
use serde::Deserialize;

use crate::outcome::Failure;

/// A configuration with comments.
pub(super) const EXAMPLE: &str = include_str!("example.toml");

/// No member needs more threads than this.
const THREADS_MAX: u16 = 256;

/// The most that may wait at once: all of it may become one record of the log, which holds 16 MiB.
const WAITING_BYTES_MAX: usize = 12 << 20;

/// A member's configuration, checked.
#[derive(Debug)]
pub(in crate::commands) struct NodeConfig {
    pub(in crate::commands) node: NodeOptions,
    /// Of the key-value store.
    pub(super) raft: Tuning,
    pub(super) threads: u16,
    pub(super) peer_address: String,
    pub(super) client_address: String,
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cluster: String,
    id: u32,
    data: PathBuf,
    #[serde(default = "one")]
    threads: u16,
    event_log: Option<PathBuf>,
    /// By id; TOML's keys are strings.
    members: BTreeMap<String, FileMember>,
    #[serde(default)]
    raft: FileRaft,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileMember {
    peer: String,
    client: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileRaft {
    tick_ms: u64,
    election_ticks: [u32; 2],
    heartbeat_ticks: u32,
    batch_entries: usize,
    batch_bytes: usize,
    window_entries: usize,
    max_waiting: usize,
    max_waiting_bytes: usize,
    max_sessions: u32,
}

fn one() -> u16 {
    1
}

impl Default for FileRaft {
    fn default() -> Self {
        let tuning = Tuning::default();
        let (start, end) = tuning.election_ticks.into_inner();
        FileRaft {
            tick_ms: 10,
            election_ticks: [start, end],
            heartbeat_ticks: tuning.heartbeat_ticks,
            batch_entries: tuning.batch_entries,
            batch_bytes: tuning.batch_bytes,
            window_entries: tuning.window_entries,
            max_waiting: tuning.max_waiting,
            max_waiting_bytes: tuning.max_waiting_bytes,
            max_sessions: tuning.max_sessions,
        }
    }
}

impl NodeConfig {
    /// Reads the file at `path`.
    pub(in crate::commands) fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path)
            .map_err(Failure::local(format!("reading {}", path.display())))?;
        Self::parse(&text).map_err(|why| Failure::Usage(format!("{}: {why}", path.display())))
    }

    /// The configuration of the key-value store's machine on member `id`.
    pub(in crate::commands) fn kv(&self, id: NodeId) -> Config<Map> {
        let members = self.node.members.keys().copied();
        self.raft.config(id, members, Map::new())
    }

    /// The configuration of the registers' machine on this member.
    pub(super) fn registers(&self) -> quorate_register::Config {
        quorate_register::config(self.node.id, self.node.members.keys().copied())
    }

    /// The configuration of the transactions' machine on this member.
    pub(in crate::commands) fn transactions(&self) -> quorate_transactions::Config {
        quorate_transactions::config(self.node.id, self.node.members.keys().copied())
    }

    /// The configuration of the feed's machine on this member.
    pub(super) fn feed(&self) -> quorate_feed::Config {
        quorate_feed::config(self.node.id, self.node.members.keys().copied())
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        file.check()
    }
}

impl File {
    fn check(self) -> Result<NodeConfig, String> {
        if self.cluster.is_empty() {
            return Err("cluster: a name is needed".into());
        }
        if !(1..=THREADS_MAX).contains(&self.threads) {
            return Err(format!("threads: from 1 to {THREADS_MAX}"));
        }
        let members = members(self.members)?;
        let id = NodeId(self.id);
        let Some(own) = members.get(&id).cloned() else {
            let known: Vec<_> = members.keys().map(|id| id.0.to_string()).collect();
            return Err(format!(
                "id: {} is not among the members ({})",
                self.id,
                known.join(", ")
            ));
        };
        let (tuning, tick) = self.raft.check()?;
        let mut node = NodeOptions::new(self.cluster, id, members, self.data);
        node.tick = tick;
        node.event_log = self.event_log;
        Ok(NodeConfig {
            node,
            raft: tuning,
            threads: self.threads,
            peer_address: own.peer,
            client_address: own.client,
        })
    }
}

/// Members by their ids, each with addresses of its own.
fn members(written: BTreeMap<String, FileMember>) -> Result<BTreeMap<NodeId, Member>, String> {
    let mut members = BTreeMap::new();
    let mut addresses = BTreeMap::new();
    for (key, FileMember { peer, client }) in written {
        let id = match key.parse() {
            Ok(id) if id > 0 => NodeId(id),
            _ => return Err(format!("members.{key}: an id is a number from 1")),
        };
        for address in [&peer, &client] {
            check_address(address).map_err(|why| format!("members.{key}: {why}"))?;
            if let Some(other) = addresses.insert(address.clone(), key.clone()) {
                return Err(format!(
                    "members.{key}: the address {address} is that of members.{other} already"
                ));
            }
        }
        // "1" and "01" are two keys and one id.
        if members.insert(id, Member { peer, client }).is_some() {
            return Err(format!("members.{key}: the id {} is there twice", id.0));
        }
    }
    Ok(members)
}

fn check_address(address: &str) -> Result<(), String> {
    let port = address.rsplit_once(':').map(|(_, port)| port.parse());
    match port {
        Some(Ok(1..=u16::MAX)) => Ok(()),
        _ => Err(format!("{address:?} is not an address like host:port")),
    }
}

impl FileRaft {
    fn check(self) -> Result<(Tuning, Duration), String> {
        let [start, end] = self.election_ticks;
        if start <= self.heartbeat_ticks || self.heartbeat_ticks == 0 {
            return Err(format!(
                "raft.election_ticks: the election timeout ({start} ticks) must be longer than the \
                 heartbeat interval (heartbeat_ticks, {} ticks, at least 1)",
                self.heartbeat_ticks
            ));
        }
        if end < start {
            return Err(format!("raft.election_ticks: [{start}, {end}] is empty"));
        }
        for (name, value, most) in [
            ("tick_ms", self.tick_ms, 60_000),
            ("batch_entries", self.batch_entries as u64, u64::MAX),
            ("batch_bytes", self.batch_bytes as u64, 4 << 20),
            ("window_entries", self.window_entries as u64, u64::MAX),
            ("max_waiting", self.max_waiting as u64, 1 << 20),
            (
                "max_waiting_bytes",
                self.max_waiting_bytes as u64,
                WAITING_BYTES_MAX as u64,
            ),
            ("max_sessions", self.max_sessions.into(), u64::MAX),
        ] {
            if value == 0 || value > most {
                let range = match most {
                    u64::MAX => "at least 1".to_owned(),
                    most => format!("from 1 to {most}"),
                };
                return Err(format!("raft.{name}: {value}; it must be {range}"));
            }
        }
        let tuning = Tuning {
            election_ticks: start..=end,
            heartbeat_ticks: self.heartbeat_ticks,
            batch_entries: self.batch_entries,
            batch_bytes: self.batch_bytes,
            window_entries: self.window_entries,
            max_waiting: self.max_waiting,
            max_waiting_bytes: self.max_waiting_bytes,
            max_sessions: self.max_sessions,
        };
        Ok((tuning, Duration::from_millis(self.tick_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example with something replaced.
    fn with(old: &str, new: &str) -> Result<NodeConfig, String> {
        assert!(EXAMPLE.contains(old), "{old}");
        NodeConfig::parse(&EXAMPLE.replace(old, new))
    }

    fn refused(old: &str, new: &str) -> String {
        with(old, new).expect_err("this configuration cannot work")
    }

    #[test]
    fn the_example_is_valid_and_shows_the_defaults() {
        let example = NodeConfig::parse(EXAMPLE).unwrap();
        assert_eq!(example.client_address, "127.0.0.1:7201");
        assert_eq!(example.node.members.len(), 3);
        assert_eq!(example.raft, Tuning::default());
        let (short, _) = EXAMPLE.split_once("[raft]").unwrap();
        let short = NodeConfig::parse(short).unwrap();
        assert_eq!(short.raft, example.raft);
        assert_eq!(short.node.tick, example.node.tick);
    }

    #[test]
    fn an_unknown_key_is_named() {
        for (old, new) in [
            ("threads = 1", "thread = 1"),
            ("peer = \"127.0.0.1:7102\"", "pear = \"127.0.0.1:7102\""),
            ("tick_ms = 10", "tick = 10"),
        ] {
            let key = new.split_once(' ').unwrap().0;
            let why = refused(old, new);
            assert!(why.contains(&format!("unknown field `{key}`")), "{why}");
        }
    }

    #[test]
    fn members_have_ids_and_addresses_of_their_own() {
        assert!(refused("[members.2]", "[members.1]").contains("duplicate key"));
        assert_eq!(
            refused("[members.2]", "[members.01]"),
            "members.1: the id 1 is there twice"
        );
        assert_eq!(
            refused("[members.2]", "[members.0]"),
            "members.0: an id is a number from 1"
        );
        assert_eq!(
            refused("127.0.0.1:7203", "127.0.0.1:7101"),
            "members.3: the address 127.0.0.1:7101 is that of members.1 already"
        );
        assert_eq!(
            refused("127.0.0.1:7203", "127.0.0.1"),
            "members.3: \"127.0.0.1\" is not an address like host:port"
        );
    }

    #[test]
    fn a_member_is_among_the_members() {
        assert_eq!(
            refused("id = 1", "id = 4"),
            "id: 4 is not among the members (1, 2, 3)"
        );
    }

    #[test]
    fn followers_wait_longer_than_a_heartbeat() {
        let why = refused("heartbeat_ticks = 10", "heartbeat_ticks = 100");
        assert!(
            why.contains("election timeout (100 ticks) must be longer"),
            "{why}"
        );
        assert!(refused("heartbeat_ticks = 10", "heartbeat_ticks = 0").contains("at least 1"));
        assert_eq!(
            refused("election_ticks = [100, 200]", "election_ticks = [100, 99]"),
            "raft.election_ticks: [100, 99] is empty"
        );
    }

    #[test]
    fn limits_are_limited() {
        assert_eq!(
            refused("max_sessions = 65536", "max_sessions = 0"),
            "raft.max_sessions: 0; it must be at least 1"
        );
        assert_eq!(
            refused(
                "max_waiting_bytes = 8388608",
                "max_waiting_bytes = 16777216"
            ),
            "raft.max_waiting_bytes: 16777216; it must be from 1 to 12582912"
        );
        assert_eq!(
            refused("threads = 1", "threads = 0"),
            "threads: from 1 to 256"
        );
    }
}
