//! What a member serves: each service is a group of its own, and all of them share the member's disk,
//! connections and address for clients.

use std::path::PathBuf;

use quorate::driver::{Divergence, ReplayReport, replay};
use quorate::raft::Raft;
use quorate::{GroupId, Node, Replica, StartError};
use quorate_feed::{Feed, FeedService};
use quorate_kv::{KvService, Map};
use quorate_register::{RegisterService, Registers};
use quorate_transactions::{Groups, Store, Transactions, TransactionsService};
use tonic::service::Routes;

use super::config::NodeConfig;
use crate::outcome::Failure;

/// The group of the key-value store.
pub(in crate::commands) const KV: GroupId = GroupId(1);

/// The group of the write-once registers.
pub(in crate::commands) const REGISTERS: GroupId = GroupId(2);

/// The group of the feed.
pub(in crate::commands) const FEED: GroupId = GroupId(3);

/// The group of the transactions.
pub(in crate::commands) const TRANSACTIONS: GroupId = GroupId(4);

/// The records of the store that takes part in them; no machine has this group.
const STORE: GroupId = GroupId(5);

/// What members tell each other beside the transactions' machine.
const REASONS: GroupId = GroupId(6);

/// A group that every member has a part in, as its recorded lives are read.
pub(in crate::commands) struct Group {
    /// Its number on all members.
    pub(in crate::commands) id: GroupId,
    /// What its machine serves.
    pub(in crate::commands) name: &'static str,
    /// Runs the event logs of this member's part through its machine again.
    pub(in crate::commands) replay: Replay,
}

type Replay = fn(&NodeConfig, &[PathBuf]) -> Result<ReplayReport, Divergence>;

/// All groups of a member.
pub(in crate::commands) const GROUPS: &[Group] = &[
    Group {
        id: KV,
        name: "key-value store",
        replay: |member, logs| replay::<Raft<Map>>(&member.kv(member.node.id), logs),
    },
    Group {
        id: REGISTERS,
        name: "registers",
        replay: |member, logs| replay::<quorate_register::Machine>(&member.registers(), logs),
    },
    Group {
        id: FEED,
        name: "feed",
        replay: |member, logs| replay::<quorate_feed::Machine>(&member.feed(), logs),
    },
    Group {
        id: TRANSACTIONS,
        name: "transactions",
        replay: |member, logs| {
            replay::<quorate_transactions::Machine>(&member.transactions(), logs)
        },
    },
];

/// The services of a member, started.
pub(super) struct Services {
    kv: Replica<Map>,
    registers: Registers,
    transactions: Transactions,
    store: Store,
    feed: Feed,
}

impl Services {
    /// Starts this member's part of every group.
    pub(super) fn start(node: &Node, config: &NodeConfig) -> Result<Self, Failure> {
        let kv = Replica::start(node, KV, config.raft.clone(), Map::new());
        let registers = Registers::start(node, REGISTERS);
        let fault = |error: &dyn std::error::Error| Failure::Fault(error.to_string());
        let (store, participant) = Store::open(node, STORE).map_err(|error| fault(&error))?;
        let groups = Groups {
            commit: TRANSACTIONS,
            reasons: REASONS,
        };
        let transactions = Transactions::start(node, groups, participant);
        let feed = Feed::start(node, FEED, &quorate_feed::Options::default());
        Ok(Services {
            transactions: transactions.map_err(|error| fault(&error))?,
            store,
            kv: kv.map_err(refusal)?,
            registers: registers.map_err(|error| Failure::Fault(error.to_string()))?,
            feed: feed.map_err(|error| Failure::Fault(error.to_string()))?,
        })
    }

    /// What clients can ask.
    pub(super) fn routes(&self) -> Routes {
        let (transactions, store) = (self.transactions.clone(), self.store.clone());
        Routes::new(KvService::new(self.kv.clone()).into_server())
            .add_service(RegisterService::new(self.registers.clone()).into_server())
            .add_service(TransactionsService::new(transactions, store).into_server())
            .add_service(FeedService::new(self.feed.clone()).into_server())
    }

    /// Returns once one of them has stopped, with its name.
    pub(super) async fn stopped(&self) -> &'static str {
        tokio::select! {
            () = self.kv.stopped() => "key-value store",
            () = self.registers.stopped() => "part in the registers",
            () = self.transactions.stopped() => "part in transactions",
            () = self.feed.stopped() => "part in the feed",
        }
    }
}

fn refusal(error: StartError) -> Failure {
    match error {
        StartError::Config(_) => Failure::Usage(error.to_string()),
        StartError::Group(_) => Failure::Fault(error.to_string()),
    }
}
