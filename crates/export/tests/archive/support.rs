//! Traces with something in every column, and files read back.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, TracesData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Row;
use prost::Message;
use quorate_export::archive::{Archive, Config, Sealed};
use quorate_trace::Verdict;
use tokio::runtime::Handle;

/// 2026-11-21T13:59:59Z.
pub(crate) const SEALED_AT: u64 = 1_795_269_599;

/// A second before, as spans have it.
pub(crate) const BEGIN: u64 = (SEALED_AT - 1) * 1_000_000_000;

pub(crate) fn sealed(spans: Vec<Span>) -> Sealed {
    let resource = Resource {
        attributes: vec![text("service.name", "shop"), text("host.name", "a")],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "lib".to_owned(),
        version: "1.2".to_owned(),
        ..InstrumentationScope::default()
    };
    let data = TracesData {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    Sealed {
        spans: data.encode_to_vec().into(),
        verdict: Verdict::Complete,
        revision: 1,
        sealed_at: UNIX_EPOCH + Duration::from_secs(SEALED_AT),
    }
}

/// A trace of two spans; the first is the second's parent.
pub(crate) fn trace(id: u128) -> Sealed {
    let span = |number: u64, parent: &[u8]| Span {
        trace_id: id.to_be_bytes().to_vec(),
        span_id: number.to_be_bytes().to_vec(),
        parent_span_id: parent.to_vec(),
        name: format!("op {number}"),
        start_time_unix_nano: BEGIN + 5,
        end_time_unix_nano: BEGIN + 1_000_005,
        attributes: vec![text("http.route", "/cart"), text("id", &id.to_string())],
        ..Span::default()
    };
    sealed(vec![span(1, &[]), span(2, &1u64.to_be_bytes())])
}

/// A span with something in every column.
pub(crate) fn full_span() -> Span {
    let array = ArrayValue {
        values: vec![
            any(Value::IntValue(1)),
            any(Value::DoubleValue(f64::NAN)),
            AnyValue::default(),
        ],
    };
    let map = KeyValueList {
        values: vec![text("x", "y"), pair("b", Value::BytesValue(vec![0xab]))],
    };
    Span {
        trace_id: 0xa1u128.to_be_bytes().to_vec(),
        span_id: 0xb2u64.to_be_bytes().to_vec(),
        trace_state: "k=v".to_owned(),
        parent_span_id: 0xc3u64.to_be_bytes().to_vec(),
        flags: 0x101,
        name: "GET /cart".to_owned(),
        kind: 2,
        start_time_unix_nano: BEGIN + 5,
        end_time_unix_nano: BEGIN + 1_000_005,
        attributes: vec![
            text("s", "old"),
            pair("i", Value::IntValue(-7)),
            pair("d", Value::DoubleValue(0.5)),
            pair("t", Value::BoolValue(true)),
            pair("a", Value::ArrayValue(array)),
            pair("m", Value::KvlistValue(map)),
            pair("y", Value::BytesValue(vec![0, 0xff])),
            text("s", "new"),
        ],
        events: vec![
            Event {
                time_unix_nano: BEGIN + 6,
                name: "first".to_owned(),
                attributes: vec![text("e", "1"), text("f", "2")],
                ..Event::default()
            },
            Event {
                time_unix_nano: BEGIN + 7,
                name: "second".to_owned(),
                ..Event::default()
            },
        ],
        links: vec![Link {
            trace_id: 0xd4u128.to_be_bytes().to_vec(),
            span_id: 0xe5u64.to_be_bytes().to_vec(),
            trace_state: "l=m".to_owned(),
            attributes: vec![text("why", "retry")],
            ..Link::default()
        }],
        status: Some(Status {
            code: 2,
            message: "timeout".to_owned(),
        }),
        ..Span::default()
    }
}

fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(any(value)),
        ..KeyValue::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

/// Files end only by their size, or when a test says how else.
pub(crate) fn config() -> Config {
    Config {
        file_age: Duration::from_secs(3600),
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(20),
        ..Config::default()
    }
}

/// Files end soon.
pub(crate) fn hasty() -> Config {
    Config {
        file_age: Duration::from_millis(20),
        ..config()
    }
}

/// A queue and the files, each in a directory of its own.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    pub(crate) fn queue(&self) -> PathBuf {
        self.0.path().join("queue")
    }

    pub(crate) fn files(&self) -> PathBuf {
        self.0.path().join("files")
    }

    pub(crate) fn open(&self, config: Config) -> Archive {
        self.open_queue(&self.queue(), config)
    }

    pub(crate) fn open_queue(&self, queue: &Path, config: Config) -> Archive {
        let url = format!("file://{}", self.files().display());
        Archive::open(queue, &url, config, &Handle::current()).unwrap()
    }

    /// The files' names within their directory, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        find(&self.files(), &mut names);
        let relative = |path: PathBuf| {
            path.strip_prefix(self.files())
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        };
        let mut names: Vec<_> = names.into_iter().map(relative).collect();
        names.sort();
        names
    }

    /// All rows of all files.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let names = self.names();
        names
            .iter()
            .flat_map(|name| read(&self.files().join(name)))
            .collect()
    }

    /// Trace and span of all rows, sorted.
    pub(crate) fn spans(&self) -> Vec<(String, String)> {
        let ids = |row: Row| {
            let mut columns = row.get_column_iter().map(|(_, field)| field.to_string());
            let mut next = || columns.next().unwrap().trim_matches('"').to_owned();
            (next(), next())
        };
        let mut spans: Vec<_> = self.rows().into_iter().map(ids).collect();
        spans.sort();
        spans
    }
}

/// What [`Place::spans`] are when these traces are archived.
pub(crate) fn spans_of(ids: std::ops::RangeInclusive<u128>) -> Vec<(String, String)> {
    let spans = |id| [1, 2].map(|span| (format!("{id:032x}"), format!("{span:016x}")));
    ids.flat_map(spans).collect()
}

fn find(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => find(&path, found),
            false => found.push(path),
        }
    }
}

pub(crate) fn read(path: &Path) -> Vec<Row> {
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    reader
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// Offers and waits until it is durable.
pub(crate) fn offer(archive: &Archive, traces: &[Sealed]) {
    archive.offer(traces).unwrap().wait().unwrap();
}

/// Waits for what must come true, far longer than it takes.
pub(crate) async fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_true() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn until_archived(archive: &Archive) {
    until("an empty queue", || archive.figures().queued_bytes == 0).await;
}

/// So many seconds after the others.
pub(crate) fn later(mut trace: Sealed, seconds: u64) -> Sealed {
    trace.sealed_at = SystemTime::UNIX_EPOCH + Duration::from_secs(SEALED_AT + seconds);
    trace
}
