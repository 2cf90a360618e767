//! A collector as a process.

use crate::binary;
use crate::process::{Ended, Process, free_addresses};
use crate::wait::{DEADLINE, eventually};
use rustix::process::Signal;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Lines of the collector's log that are printed when a test fails.
const LINES_SHOWN: usize = 60;

/// An answer: status and body.
pub type Answer = (u16, String);

/// A collector on free ports, with its data in a temporary directory. When it is dropped its process
/// ends, and if the test fails its log is printed.
pub struct Collector {
    process: Option<Process>,
    agent: ureq::Agent,
    /// `host:port` of OTLP over gRPC.
    pub grpc: String,
    /// `host:port` of OTLP over HTTP.
    pub http: String,
    /// `host:port` of queries.
    pub query: String,
    dir: TempDir,
}

impl Collector {
    /// Starts one whose windows are short: a trace is complete after 300 ms of quiet, and incomplete
    /// after two seconds.
    pub async fn start() -> Self {
        Collector::with("[assembly]\nquiet = \"300ms\"\ndeadline = \"2s\"\n").await
    }

    /// Starts one with these sections in its configuration, besides `data` and `listen`.
    pub async fn with(sections: &str) -> Self {
        let [[grpc, http], [query, _]] = free_addresses();
        let dir = TempDir::new().expect("a temporary directory");
        let config = format!(
            "[data]\ndir = {:?}\n[listen]\ngrpc = {grpc:?}\nhttp = {http:?}\nquery = {query:?}\n{sections}",
            dir.path().join("data")
        );
        fs::write(dir.path().join("collector.toml"), config).expect("a configuration is written");
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build();
        let mut collector = Collector {
            process: None,
            agent: agent.into(),
            grpc,
            http,
            query,
            dir,
        };
        collector.run().await;
        collector
    }

    /// Starts the process and waits until it is ready.
    ///
    /// # Panics
    ///
    /// If it runs already, or does not become ready.
    pub async fn run(&mut self) {
        self.launch();
        self.ready().await;
    }

    /// Starts the process.
    ///
    /// # Panics
    ///
    /// If it runs already.
    pub fn launch(&mut self) {
        assert!(self.process.is_none(), "the collector runs");
        let mut command = Command::new(binary::quorate());
        command.arg("collector").arg("--config");
        command.arg(self.dir.path().join("collector.toml"));
        self.process = Some(Process::start(&mut command, &self.log()));
    }

    /// Waits until it is ready.
    ///
    /// # Panics
    ///
    /// If it is not within the deadline.
    pub async fn ready(&self) {
        eventually("the collector is ready", || async {
            matches!(self.get("/readyz"), Ok((200, _))).then_some(())
        })
        .await;
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Where it keeps its data.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A directory of the test's own, which ends with it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its process id.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("the collector runs").id()
    }

    /// Ends the process as `kill -9` does.
    pub fn kill(&mut self) {
        drop(self.process.take());
    }

    /// Sends a signal.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("the collector runs");
        process.signal(signal);
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub async fn ended(&mut self) -> Ended {
        let process = self.process.take().expect("a collector that ends runs");
        process.ended().await
    }

    /// Sends a request, as protobuf over HTTP; tells the status of the answer.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn send(&self, request: &[u8]) -> Result<u16, ureq::Error> {
        let answer = self.post(&self.http, "/v1/traces", "application/x-protobuf", request)?;
        Ok(answer.0)
    }

    /// Posts to one of its addresses.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn post(
        &self,
        address: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Answer, ureq::Error> {
        let mut answer = self
            .agent
            .post(format!("http://{address}{path}"))
            .content_type(content_type)
            .send(body)?;
        let text = answer.body_mut().read_to_vec()?;
        let status = answer.status().as_u16();
        Ok((status, String::from_utf8_lossy(&text).into_owned()))
    }

    /// Asks its query address.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn get(&self, path: &str) -> Result<Answer, ureq::Error> {
        let mut answer = self
            .agent
            .get(format!("http://{}{path}", self.query))
            .call()?;
        let text = answer
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_vec()?;
        let status = answer.status().as_u16();
        Ok((status, String::from_utf8_lossy(&text).into_owned()))
    }

    /// Asks for JSON; nothing if there is none yet.
    ///
    /// # Panics
    ///
    /// If the answer is a success and no JSON.
    pub fn json(&self, path: &str) -> Option<serde_json::Value> {
        match self.get(path) {
            Ok((200, text)) => Some(serde_json::from_str(&text).expect("an answer is JSON")),
            _ => None,
        }
    }

    /// Waits until the trace is sealed; its analysis.
    ///
    /// # Panics
    ///
    /// If it is not within the deadline.
    pub async fn sealed(&self, trace: &str) -> serde_json::Value {
        let path = format!("/api/quorate/traces/{trace}");
        let what = format!("trace {trace} is sealed within {DEADLINE:?}");
        eventually(&what, || async {
            self.json(&path).filter(|found| found["phase"] == "sealed")
        })
        .await
    }

    /// Its log so far.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn words(&self) -> io::Result<String> {
        fs::read_to_string(self.log())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let words = self.words().unwrap_or_default();
            let lines: Vec<&str> = words.lines().collect();
            let from = lines.len().saturating_sub(LINES_SHOWN);
            eprintln!("the collector's log ends:\n{}", lines[from..].join("\n"));
        }
    }
}
