//! `quorate bench txn`: transactions a second, how long they take, and how many syncs and messages each of them costs.
//!
//! The loop is closed: each client moves an amount between two members and waits for the outcome before it moves the
//! next one. Clients have accounts of their own, so nobody waits for locks, and take turns in whom they have coordinate.
//! Syncs and messages are what all members together have counted meanwhile.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use clap::Args;
use quorate::NodeId;
use quorate_transactions::{Client, ClientOptions, Mode, Operation, Outcome as Ended, Share};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::outcome::{Failure, Outcome};

/// Accounts of a client at each member.
const ACCOUNTS: i64 = 16;

/// Options of `quorate bench txn`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct TxnArgs {
    /// Client addresses of all members, as host:port.
    #[arg(
        long,
        value_delimiter = ',',
        env = "QUORATE_ENDPOINTS",
        default_value = "127.0.0.1:7201,127.0.0.1:7202,127.0.0.1:7203"
    )]
    endpoints: Vec<String>,

    /// Numbers of clients, each with one transaction outstanding; measured one after another.
    #[arg(long, value_delimiter = ',', default_value = "1,64",
          value_parser = clap::value_parser!(u16).range(1..=4096))]
    clients: Vec<u16>,

    /// Measured time of a level.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,

    /// Unmeasured time before each level.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    warmup_seconds: u64,

    /// Have a majority of the members decide.
    #[arg(long)]
    non_blocking: bool,

    /// The coordinator takes part in its transactions: fewer messages.
    #[arg(long)]
    coordinator_takes_part: bool,
}

const HELP: &str = "\
Each transaction has two participants. Syncs are rounds of the record logs of all members, and transactions that
run at the same time share them; messages are those between members because of transactions. The exit status is 1
when a transaction was not committed.

Examples:
  quorate bench txn --endpoints 127.0.0.1:7201,127.0.0.1:7202,127.0.0.1:7203
  quorate bench txn --clients 1,16,64,256 --seconds 5 --non-blocking";

impl TxnArgs {
    pub(super) fn run(self) -> Result<Outcome, Failure> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::local("starting the client's runtime"))?;
        runtime.block_on(self.measure())
    }

    async fn measure(self) -> Result<Outcome, Failure> {
        let client = Client::new(self.endpoints.clone(), ClientOptions::default())?;
        let members = client.members().await;
        if members.len() < 2 {
            let found = members.len();
            return Err(Failure::Cluster(format!(
                "{found} members answer; two are needed"
            )));
        }
        let mut outcome = Outcome::Holds;
        print("clients      txn/s     p50 ms     p99 ms  syncs/txn  messages/txn  not committed")?;
        for clients in &self.clients {
            self.level(&members, *clients, self.warmup_seconds).await?;
            let before = Counted::now(&client).await?;
            let tally = self.level(&members, *clients, self.seconds).await?;
            let used = Counted::now(&client).await?.since(before);
            print(&tally.row(*clients, used))?;
            if tally.failed > 0 {
                outcome = Outcome::Refuted;
            }
        }
        Ok(outcome)
    }

    /// Runs all clients for a time.
    async fn level(
        &self,
        members: &[NodeId],
        clients: u16,
        seconds: u64,
    ) -> Result<Tally, Failure> {
        let mode = match self.non_blocking {
            true => Mode::NonBlocking,
            false => Mode::Blocking,
        };
        let began = Instant::now();
        let until = began + Duration::from_secs(seconds);
        let client = Client::new(self.endpoints.clone(), ClientOptions::default())?;
        client.members().await;
        let mut running = JoinSet::new();
        for number in 0..usize::from(clients) {
            let client = client.clone();
            let (coordinator, participants) = self.roles(members, number);
            running.spawn(async move {
                let mut tally = Tally::default();
                let mut amount = 1;
                while Instant::now() < until {
                    // Not the one of the transaction before: its caller was told before its locks were given up.
                    let account = format!("bench/{number}/{}", amount % ACCOUNTS);
                    let shares = participants.map(|(member, sign)| Share {
                        member,
                        operations: vec![Operation::put(
                            account.clone(),
                            (sign * amount).to_string(),
                        )],
                    });
                    tally.transaction(&client, coordinator, &shares, mode).await;
                    amount += 1;
                }
                tally
            });
        }
        let mut all = Tally::default();
        while let Some(tally) = running.join_next().await {
            let tally = tally.map_err(|error| Failure::Fault(error.to_string()))?;
            all.latencies.extend(tally.latencies);
            all.failed += tally.failed;
        }
        all.elapsed = began.elapsed();
        all.latencies.sort_unstable();
        Ok(all)
    }

    /// Who coordinates for a client, and who takes part with what sign.
    fn roles(&self, members: &[NodeId], client: usize) -> (NodeId, [(NodeId, i64); 2]) {
        let member = |offset: usize| members[(client + offset) % members.len()];
        let first = usize::from(!self.coordinator_takes_part);
        (member(0), [(member(first), -1), (member(first + 1), 1)])
    }
}

#[derive(Debug, Default)]
struct Tally {
    /// Of committed transactions; sorted when all are there.
    latencies: Vec<Duration>,
    failed: u64,
    elapsed: Duration,
}

impl Tally {
    async fn transaction(
        &mut self,
        client: &Client,
        coordinator: NodeId,
        shares: &[Share],
        mode: Mode,
    ) {
        let Ok(id) = client.new_id(Some(coordinator)).await else {
            self.failed += 1;
            return;
        };
        let began = Instant::now();
        match client.run(id, shares, mode).await {
            Ok(Ended::Committed) => self.latencies.push(began.elapsed()),
            Ok(Ended::Aborted { reason }) => {
                tracing::warn!(reason, "a transaction was aborted");
                self.failed += 1;
            }
            Err(error) => {
                tracing::warn!(%error, "a transaction failed");
                self.failed += 1;
            }
        }
    }

    fn percentile(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        let latency = self.latencies.get(index).copied().unwrap_or_default();
        latency.as_secs_f64() * 1e3
    }

    fn row(&self, clients: u16, used: Counted) -> String {
        let count = self.latencies.len().max(1) as f64;
        format!(
            "{clients:>7}  {:>9.0}  {:>9.2}  {:>9.2}  {:>9.2}  {:>12.2}  {:>13}",
            self.latencies.len() as f64 / self.elapsed.as_secs_f64(),
            self.percentile(0.5),
            self.percentile(0.99),
            used.syncs as f64 / count,
            used.messages as f64 / count,
            self.failed
        )
    }
}

/// What all members have counted.
#[derive(Clone, Copy, Debug)]
struct Counted {
    syncs: u64,
    messages: u64,
}

impl Counted {
    async fn now(client: &Client) -> Result<Self, Failure> {
        let mut all = Counted {
            syncs: 0,
            messages: 0,
        };
        for (endpoint, status) in client.status().await {
            let status = status.map_err(|why| Failure::Cluster(format!("{endpoint}: {why}")))?;
            all.syncs += status.syncs;
            all.messages += status.messages_sent;
        }
        Ok(all)
    }

    fn since(self, before: Counted) -> Self {
        Counted {
            syncs: self.syncs.saturating_sub(before.syncs),
            messages: self.messages.saturating_sub(before.messages),
        }
    }
}

fn print(line: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(Failure::local("writing to standard output"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_latencies() {
        let tally = Tally {
            latencies: (1..=100).map(Duration::from_millis).collect(),
            elapsed: Duration::from_secs(2),
            failed: 3,
        };
        assert_eq!(tally.percentile(0.0), 1.0);
        assert_eq!(tally.percentile(1.0), 100.0);
        let used = Counted {
            syncs: 500,
            messages: 800,
        };
        let row = tally.row(64, used);
        let figures: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(figures, ["64", "50", "51.00", "99.00", "5.00", "8.00", "3"]);
        assert_eq!(Tally::default().percentile(0.5), 0.0);
    }
}
