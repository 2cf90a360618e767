//! A protocol of one's own, checked and run; `TUTORIAL.md` tells the story.
//!
//! ```text
//! cargo run --example primary_backup -- check
//! cargo run --example primary_backup -- explore
//! cargo run --example primary_backup -- node 1
//! ```

#![allow(missing_docs, unreachable_pub, clippy::print_stdout)]

mod model;
mod register;

use clap::{Parser, Subcommand};
use quorate::{Checks, GroupId, Node, NodeId, NodeOptions, Running, Settings, Table, majority};
use register::{Command, Config, Output, Register};
use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

const NODES: u32 = 3;

/// Answers that may wait to be printed.
const OUTPUTS: usize = 1024;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    task: Task,
    /// Acknowledge a write when all nodes hold it, not when a majority does.
    #[arg(long, global = true)]
    fixed: bool,
}

#[derive(Subcommand)]
enum Task {
    /// Check the protocol.
    Check,
    /// Walk through its states in a browser.
    Explore {
        #[arg(long, default_value = "127.0.0.1:3000")]
        address: SocketAddr,
    },
    /// Run node ID of three; takes `write N`, `read` and `promote` from standard input.
    Node {
        id: u32,
        /// Node ID listens on this port plus ID.
        #[arg(long, default_value_t = 7100)]
        port: u16,
        /// Where the nodes keep their records, each in a directory of its own.
        #[arg(long, default_value = "primary-backup-data")]
        data: PathBuf,
    },
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let cli = Cli::parse();
    let nodes = NODES as usize;
    let copies = if cli.fixed { nodes } else { majority(nodes) };
    match cli.task {
        Task::Check => return check(copies),
        Task::Explore { address } => quorate::explore(model::scenario(copies), address, |at| {
            println!("http://{at}");
        })?,
        Task::Node { id, port, data } => node(NodeId(id), copies, port, data)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn check(copies: usize) -> Result<ExitCode, Box<dyn Error>> {
    let checks = Checks::new("primary-backup")
        .safety(model::scenario(copies))
        .liveness(model::progress(copies))
        .simulation("three nodes, in virtual time", move |_| {
            model::simulation(copies)
        });
    let runs = checks.run(&Settings::default())?;
    print!("{}", Table(&runs));
    let page = quorate::write_report("primary-backup", &runs, Path::new("check-report"))?;
    println!("report: {}", page.display());
    Ok(ExitCode::from(u8::from(!quorate::passed(&runs))))
}

#[tokio::main]
async fn node(me: NodeId, copies: usize, port: u16, data: PathBuf) -> Result<(), Box<dyn Error>> {
    let nodes: Vec<NodeId> = (1..=NODES).map(NodeId).collect();
    let address = |id: &NodeId| format!("127.0.0.1:{}", u32::from(port) + id.0);
    let members = nodes.iter().map(|id| (*id, address(id)));
    let data = data.join(me.to_string());
    let node = Node::open(NodeOptions::new("primary-backup", me, members, data)).await?;
    let config = Config { me, nodes, copies };
    let mut register = node.run::<Register>(GroupId(1), config, OUTPUTS)?;
    node.connect();
    println!("{me} runs; write N, read, promote");
    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => submit(&register, &line).await?,
                None => break,
            },
            output = register.next() => match output {
                Some(Output::Written(held)) => println!("written: {}", held.value),
                Some(Output::Value(held)) => println!("value: {}", held.value),
                Some(Output::NotPrimary) => println!("not the primary"),
                None => break,
            },
        }
    }
    Ok(node.shutdown().await?)
}

async fn submit(register: &Running<Register>, line: &str) -> Result<(), Box<dyn Error>> {
    let command = match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["write", value] => value.parse().ok().map(Command::Write),
        ["read"] => Some(Command::Read),
        ["promote"] => Some(Command::Promote),
        _ => None,
    };
    match command {
        Some(command) => register.submit(command).await?,
        None => println!("write N, read, or promote"),
    }
    Ok(())
}
