//! What is known of a trace without reading its spans.

use quorate_analysis::Severity;
use quorate_trace::wire::SpanKind;
use quorate_trace::{Completeness, TraceId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Decision;

/// A trace in a list of traces. In JSON with names in camelCase; numbers that may not fit into a
/// JavaScript number are texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The trace.
    pub trace_id: TraceId,
    /// Its latest revision, from 1.
    pub revision: u32,
    /// The service of the root; empty without a root.
    pub root_service: String,
    /// The name of the root; empty without a root.
    pub root_name: String,
    /// Where the earliest span begins, in nanoseconds since 1970.
    #[serde(with = "decimal")]
    pub start_ns: u64,
    /// From the earliest begin to the latest end, in nanoseconds.
    pub duration_ns: u64,
    /// Distinct spans.
    pub spans: u32,
    /// Those whose status is an error.
    pub errors: u32,
    /// By service; [`Summary::SERVICES_MAX`] are stored.
    pub services: Vec<ServiceSummary>,
    /// Whether it is whole.
    pub completeness: Completeness,
    /// What is wrong with it, worst first; [`Summary::FAULTS_MAX`] are stored.
    pub faults: Vec<FaultSummary>,
    /// What is most likely behind it, in a sentence.
    pub root_cause: Option<String>,
    /// What sampling decided.
    pub decision: Decision,
}

impl Summary {
    /// Services of a trace that are stored, and can be searched for.
    pub const SERVICES_MAX: usize = 64;
    /// Operations of a service in a trace that are stored, and can be searched for.
    pub const OPERATIONS_MAX: usize = 64;
    /// Faults of a trace that are stored.
    pub const FAULTS_MAX: usize = 8;

    /// The worst of its faults.
    pub fn severity(&self) -> Option<Severity> {
        self.faults.iter().map(|fault| fault.severity).max()
    }
}

/// The part that a service has in a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSummary {
    /// Its name.
    pub service: String,
    /// Its spans.
    pub spans: u32,
    /// Those whose status is an error.
    pub errors: u32,
    /// Names of its spans, with their kinds as numbers of OTLP; each once, and
    /// [`Summary::OPERATIONS_MAX`] are stored.
    #[serde(with = "operations")]
    pub operations: Vec<(String, SpanKind)>,
}

/// Something that is wrong with a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultSummary {
    /// What it is, in the words of the analysis.
    pub kind: String,
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub service: String,
    /// In which operation.
    pub operation: String,
    /// One sentence for a person.
    pub message: String,
}

mod decimal {
    use super::*;

    pub(super) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

mod operations {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        value: &[(String, SpanKind)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(value.iter().map(|(name, kind)| (name, *kind as u8)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(String, SpanKind)>, D::Error> {
        let numbered = Vec::<(String, u8)>::deserialize(deserializer)?;
        let operations = numbered.into_iter();
        let kind = |(name, kind): (String, u8)| (name, SpanKind::from_number(kind.into()));
        Ok(operations.map(kind).collect())
    }
}
