//! A network namespace for each of three members, joined by a bridge: networks that can really break.
//!
//! Needs the rights of root and `ip`, as in most containers that build software. A packet that is lost here is
//! lost for the kernel's TCP, with everything that follows: retransmissions, stalled streams, connections that
//! are only noticed to be dead after a while.
//!
//! ```text
//!   test ── bridge ──┬── namespace 1: member 1
//!                    ├── namespace 2: member 2
//!                    └── namespace 3: member 3
//! ```

use rand::Rng;
use std::process::Command;

/// Where members listen: for their peers and for clients. Nobody else is in their namespaces.
const PORTS: [u16; 2] = [4001, 4002];

/// Three namespaces, removed when this is dropped.
#[derive(Debug)]
pub struct Namespaces {
    /// In the names of all that is created. Interfaces have names of fifteen characters at most.
    tag: String,
    /// The first three bytes of all addresses.
    subnet: String,
}

impl Namespaces {
    /// Creates them.
    ///
    /// # Errors
    ///
    /// Why it is not possible here.
    pub fn create() -> Result<Self, String> {
        let number: u16 = rand::rng().random_range(0..0x4000);
        let network = Namespaces {
            tag: format!("q{number:04x}"),
            subnet: format!("10.{}.{}", 192 + number / 256, number % 256),
        };
        let Namespaces { tag, subnet } = &network;
        ip(&format!("link add {tag}br type bridge"))?;
        ip(&format!("addr add {subnet}.254/24 dev {tag}br"))?;
        ip(&format!("link set {tag}br up"))?;
        for id in 1..=3 {
            let (space, inner, outer) =
                (network.space(id), format!("{tag}i{id}"), network.link(id));
            ip(&format!("netns add {space}"))?;
            ip(&format!("link add {outer} type veth peer name {inner}"))?;
            ip(&format!("link set {inner} netns {space}"))?;
            ip(&format!("link set {outer} master {tag}br up"))?;
            ip(&format!("-n {space} addr add {subnet}.{id}/24 dev {inner}"))?;
            ip(&format!("-n {space} link set {inner} up"))?;
            ip(&format!("-n {space} link set lo up"))?;
        }
        Ok(network)
    }

    fn space(&self, id: u32) -> String {
        format!("{}n{id}", self.tag)
    }

    /// The bridge's end of a member's link.
    fn link(&self, id: u32) -> String {
        format!("{}o{id}", self.tag)
    }

    /// The addresses of the members, for peers and for clients.
    pub(crate) fn addresses(&self) -> [[String; 2]; 3] {
        [1, 2, 3].map(|id| PORTS.map(|port| format!("{}.{id}:{port}", self.subnet)))
    }

    /// The command `inner`, in the namespace of member `id`. The process becomes that of the command.
    pub(crate) fn command(&self, id: u32, inner: &Command) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space(id)]);
        command.arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command
    }

    /// Takes member `id` off the network, or brings it back.
    pub fn isolate(&self, id: u32, away: bool) {
        let state = if away { "down" } else { "up" };
        must(ip(&format!("link set {} {state}", self.link(id))));
    }

    /// Loses everything that `from` sends to `to`, and nothing else; or nothing any more.
    pub fn deafen(&self, to: u32, from: u32, deaf: bool) {
        let (verb, space) = (if deaf { "add" } else { "del" }, self.space(from));
        let address = format!("{}.{to}/32", self.subnet);
        must(ip(&format!("-n {space} route {verb} blackhole {address}")));
    }

    /// Makes the link to member `id` slow and lossy, or good again. What does it: the kernel's emulator
    /// of networks where there is one, otherwise a bucket so small that it overflows.
    pub fn spoil(&self, id: u32, bad: bool) -> &'static str {
        let link = self.link(id);
        if !bad {
            must(tc(&format!("qdisc del dev {link} root")));
            return "";
        }
        let emulator =
            format!("qdisc add dev {link} root netem delay 20ms 10ms loss 5% duplicate 2%");
        if tc(&emulator).is_ok() {
            return "netem";
        }
        let bucket = format!("qdisc add dev {link} root tbf rate 300kbit burst 2kb limit 3kb");
        must(tc(&bucket));
        "tbf"
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        // A link goes with its namespace, or before; what was not created is not there.
        for id in 1..=3 {
            let _ = ip(&format!("link del {}", self.link(id)));
            let _ = ip(&format!("netns del {}", self.space(id)));
        }
        let _ = ip(&format!("link del {}br", self.tag));
    }
}

fn must(done: Result<(), String>) {
    done.expect("what could be created can be changed");
}

fn ip(words: &str) -> Result<(), String> {
    run("ip", words)
}

fn tc(words: &str) -> Result<(), String> {
    run("tc", words)
}

fn run(program: &str, words: &str) -> Result<(), String> {
    let ran = Command::new(program).args(words.split(' ')).output();
    let ran = ran.map_err(|error| format!("{program}: {error}"))?;
    if ran.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    Err(format!("{program} {words}: {}", said.trim()))
}
