//! The configuration: every key has a default, so that no file at all is a working collector.
//!
//! [`DOCUMENTED`] is a file with every key, its default and what it means; a test keeps it true.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use quorate_analysis::Patterns;
use quorate_sampling::PolicyConfig;
use serde::Deserialize;

/// A configuration file with every key, its default and its meaning.
pub const DOCUMENTED: &str = include_str!("collector.toml");

/// How a collector runs.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where it keeps its data.
    pub data: Data,
    /// Where it listens.
    pub listen: Listen,
    /// What it accepts.
    pub intake: Intake,
    /// When a trace is sealed.
    pub assembly: Assembly,
    /// What is kept, and for how long.
    pub store: Store,
    /// What counts as a fault.
    pub analysis: Patterns,
    /// Which sealed traces are kept.
    pub sampling: Sampling,
    /// Another OTLP backend that gets what is kept.
    pub forward: Option<Forward>,
    /// Parquet files on an object store that get what is kept.
    pub archive: Option<Archive>,
    /// What it tells about itself.
    pub telemetry: Telemetry,
}

/// Where the collector keeps its data.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// The directory; made if it is missing.
    pub dir: PathBuf,
    /// Spans are refused while the file system has less than this left.
    pub reserve: ByteSize,
}

impl Default for Data {
    fn default() -> Self {
        Data {
            dir: "quorate-data".into(),
            reserve: ByteSize::mib(256),
        }
    }
}

/// Where the collector listens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// OTLP over gRPC.
    pub grpc: SocketAddr,
    /// OTLP over HTTP.
    pub http: SocketAddr,
    /// Queries, the web page, metrics and health.
    pub query: SocketAddr,
}

impl Default for Listen {
    fn default() -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Listen {
            grpc: local(4317),
            http: local(4318),
            query: local(16686),
        }
    }
}

/// When a client is told that its spans are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Acknowledge {
    /// When they survive a crash and a loss of power.
    #[default]
    Durable,
    /// When they are in memory: a crash loses what was accepted since the last sync.
    Received,
}

/// What the collector accepts.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Intake {
    /// When a client gets its answer.
    pub acknowledge: Acknowledge,
    /// How long a write may wait for others to share its sync.
    #[serde(with = "humantime_serde")]
    pub commit_interval: Duration,
    /// The longest message as it comes over the network.
    pub message: ByteSize,
    /// The longest message after decompression.
    pub decompressed: ByteSize,
    /// Attributes of one span, those of its events, links and nested maps included.
    pub attributes: u32,
    /// How deep messages may nest within the request.
    pub nesting: u32,
    /// Memory of requests that have not been answered.
    pub buffered: ByteSize,
    /// Connections at the same time.
    pub connections: usize,
    /// How long a client may take to send one request.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Web origins whose pages may send spans; "*" for all.
    pub cors_origins: Vec<String>,
}

impl Default for Intake {
    fn default() -> Self {
        Intake {
            acknowledge: Acknowledge::Durable,
            commit_interval: Duration::ZERO,
            message: ByteSize::mib(8),
            decompressed: ByteSize::mib(16),
            attributes: 4096,
            nesting: 64,
            buffered: ByteSize::mib(256),
            connections: 1024,
            timeout: Duration::from_secs(30),
            cors_origins: Vec::new(),
        }
    }
}

/// When a trace is sealed, and how much may be open.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Assembly {
    /// A trace with a root and without missing parents is complete when it has been quiet for so long.
    #[serde(with = "humantime_serde")]
    pub quiet: Duration,
    /// A trace that is not complete by then is sealed as incomplete.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// Memory for open traces. Beyond three quarters of it the oldest are sealed early; at all of it spans are
    /// refused until there is room.
    pub memory: ByteSize,
    /// Memory for one trace; a larger one is sealed in parts.
    pub trace_memory: ByteSize,
    /// Threads that seal.
    pub sealers: usize,
}

impl Default for Assembly {
    fn default() -> Self {
        Assembly {
            quiet: Duration::from_secs(3),
            deadline: Duration::from_secs(60),
            memory: ByteSize::gib(1),
            trace_memory: ByteSize::mib(64),
            sealers: 1,
        }
    }
}

/// What is kept, and for how long.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// A trace is forgotten when it is older.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    /// The oldest traces are forgotten when all take more.
    pub max_size: ByteSize,
}

impl Default for Store {
    fn default() -> Self {
        Store {
            max_age: Duration::from_secs(7 * 24 * 3600),
            max_size: ByteSize::gib(20),
        }
    }
}

/// Which sealed traces are kept.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Policies of the OpenTelemetry collector's tail sampling; none keep everything.
    pub policy: Vec<PolicyConfig>,
}

/// Another OTLP backend.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// `http://host:4317` for gRPC, `http://host:4318/v1/traces` for HTTP.
    pub endpoint: String,
    /// `grpc` or `http`.
    #[serde(default)]
    pub protocol: ForwardProtocol,
    /// Compress with gzip.
    #[serde(default)]
    pub gzip: bool,
    /// Sent with each request, such as an authorization.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// How much may wait for the backend, on disk. Beyond it sealing waits, and then clients.
    #[serde(default = "Forward::queue")]
    pub queue: ByteSize,
}

impl Forward {
    fn queue() -> ByteSize {
        ByteSize::gib(2)
    }
}

/// How to talk to another backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForwardProtocol {
    /// OTLP over gRPC.
    #[default]
    Grpc,
    /// OTLP over HTTP with protobuf.
    Http,
}

/// Parquet files on an object store.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// `file:///path` or `s3://bucket/prefix`; S3's credentials and endpoint come from the `AWS_…`
    /// variables.
    pub url: String,
    /// A file is finished at this size.
    #[serde(default = "Archive::file_size")]
    pub file_size: ByteSize,
    /// A file is finished at this age.
    #[serde(default = "Archive::file_age", with = "humantime_serde")]
    pub file_age: Duration,
    /// How much may wait on disk to be in a finished file. Beyond it sealing waits, and then clients.
    #[serde(default = "Archive::queue")]
    pub queue: ByteSize,
}

impl Archive {
    fn file_size() -> ByteSize {
        ByteSize::mib(128)
    }

    fn queue() -> ByteSize {
        ByteSize::gib(4)
    }

    fn file_age() -> Duration {
        Duration::from_secs(300)
    }
}

/// What the collector tells about itself; metrics are always there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// How many of its own operations a minute it traces into itself, as service `quorate-collector`.
    pub traces_per_minute: u32,
}

/// Why a configuration is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// It is not TOML, a key is unknown, or a value has the wrong form.
    #[error("{path}: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// Each value is fine alone, but they do not fit.
    #[error("{0}")]
    Invalid(String),
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    ///
    /// See [`ConfigError`].
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let config: Config = toml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        config.check()?;
        Ok(config)
    }

    /// Checks what the form of the values cannot say.
    ///
    /// # Errors
    ///
    /// Tells which values do not fit, and what would.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Config {
            intake,
            assembly,
            listen,
            ..
        } = self;
        let archives_in_vain = self.archive.is_some() && !cfg!(feature = "parquet");
        let room = assembly.memory.as_u64() / 8;
        let rules = [
            (
                archives_in_vain,
                "[archive] needs a build with `cargo build --release --features parquet`".to_owned(),
            ),
            (
                intake.decompressed.as_u64() > room,
                format!(
                    "intake.decompressed ({}) is more than an eighth of assembly.memory ({})",
                    intake.decompressed, assembly.memory
                ),
            ),
            (
                intake.decompressed.as_u64() > 60 << 20,
                "intake.decompressed can be 60 MiB at most".to_owned(),
            ),
            (
                intake.buffered < intake.decompressed,
                "intake.buffered is less than intake.decompressed: such a request could never be taken"
                    .to_owned(),
            ),
            (
                intake.message > intake.decompressed,
                "intake.message is more than intake.decompressed".to_owned(),
            ),
            (
                assembly.trace_memory > assembly.memory,
                "assembly.trace_memory is more than assembly.memory".to_owned(),
            ),
            (
                assembly.deadline < assembly.quiet,
                "assembly.deadline is before assembly.quiet: no trace could ever be late"
                    .to_owned(),
            ),
            (
                assembly.quiet.is_zero(),
                "assembly.quiet must be more than zero: no trace could wait for its spans".to_owned(),
            ),
            (
                assembly.sealers == 0,
                "assembly.sealers must be at least 1".to_owned(),
            ),
            (
                intake.connections == 0,
                "intake.connections must be at least 1".to_owned(),
            ),
            (
                !(8..=100).contains(&intake.nesting),
                "intake.nesting must be 8 to 100".to_owned(),
            ),
            (
                intake.commit_interval > Duration::from_secs(1),
                "intake.commit_interval can be one second at most".to_owned(),
            ),
            (
                listen.grpc.port() != 0
                    && (listen.grpc == listen.http || listen.grpc == listen.query)
                    || listen.http.port() != 0 && listen.http == listen.query,
                "listen.grpc, listen.http and listen.query must differ".to_owned(),
            ),
        ];
        match rules.into_iter().find(|(broken, _)| *broken) {
            Some((_, problem)) => Err(ConfigError::Invalid(problem)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_file_has_every_key_with_its_default() {
        let documented: Config = toml::from_str(DOCUMENTED).unwrap();
        assert_eq!(documented, Config::default());
    }

    #[test]
    fn what_is_commented_out_is_a_valid_example() {
        let examples: String = DOCUMENTED
            .lines()
            .map(|line| line.strip_prefix("#| ").unwrap_or(line))
            .map(|line| format!("{line}\n"))
            .collect();
        let config: Config = toml::from_str(&examples).unwrap();
        assert_eq!(config.check().is_ok(), cfg!(feature = "parquet"));
        assert!(config.forward.is_some());
        assert!(config.archive.is_some());
        assert!(!config.analysis.custom.is_empty());
        assert!(!config.sampling.policy.is_empty());
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = toml::from_str::<Config>("[assembly]\nquite = \"3s\"").unwrap_err();
        assert!(error.to_string().contains("quite"), "{error}");
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        for text in [
            "[assembly]\nquiet = \"0s\"",
            "[assembly]\ndeadline = \"1s\"",
            "[assembly]\nmemory = \"16MiB\"",
            "[intake]\nnesting = 200",
            "[listen]\ngrpc = \"127.0.0.1:4318\"",
        ] {
            let config: Config = toml::from_str(text).unwrap();
            assert!(config.check().is_err(), "{text}");
        }
    }
}
