//! Search as Tempo has it: the store finds candidates, and what its indexes do not know is checked on the
//! spans.

use std::collections::HashSet;

use quorate_trace::TraceId;
use quorate_trace::wire::Span;
use quorate_trace_store::{Query, Summary, TraceStore};
use serde::Serialize;
use serde_json::json;

use super::traceql::{Condition, Field, Filter, OfTrace, Operand, Operator};
use crate::error::Error;
use crate::load::scan;
use crate::parameters::{Parameters, scaled_ns};
use crate::source::{Limits, Source};
use crate::view::as_text;

/// Tempo's own.
const LIMIT: usize = 20;
const SPANS_PER_SET: usize = 3;
const SPANS_PER_SET_MAX: usize = 100;
const SECOND_NS: u64 = 1_000_000_000;
/// Operations and services that are offered.
const VALUES_MAX: usize = 1_000;
/// What Tempo says for a trace without a root.
const NO_ROOT: &str = "<root span not yet received>";

/// A search that was asked for.
pub(super) struct Wanted {
    filter: Filter,
    query: Query,
    limit: usize,
    spans_per_set: usize,
}

impl Wanted {
    pub(super) fn read(parameters: &Parameters, most: usize) -> Result<Self, Error> {
        let mut filter = parameters.read("q", Filter::parse)?.unwrap_or_default();
        for text in parameters.all("tags") {
            let conditions = logfmt(text).map_err(|reason| Error::Parameter {
                name: "tags",
                reason,
            })?;
            filter.conditions.extend(conditions);
        }
        let seconds = |text: &str| scaled_ns(text, SECOND_NS);
        let mut query = Query {
            min_duration_ns: parameters.duration("minDuration")?,
            max_duration_ns: parameters.duration("maxDuration")?,
            start_ns: parameters.read("start", seconds)?,
            end_ns: parameters.read("end", seconds)?,
            ..Query::default()
        };
        narrow(&mut query, &filter);
        let spans_per_set = parameters.number("spss")?.unwrap_or(SPANS_PER_SET);
        Ok(Wanted {
            filter,
            query,
            limit: parameters.limit(LIMIT, most)?,
            spans_per_set: spans_per_set.clamp(1, SPANS_PER_SET_MAX),
        })
    }
}

/// Tells the store what must hold in any case, so that it finds fewer candidates.
fn narrow(query: &mut Query, filter: &Filter) {
    for Condition {
        field,
        operator,
        operand,
    } in &filter.conditions
    {
        let (equal, more) = (
            *operator == Operator::Equal,
            matches!(operator, Operator::Greater | Operator::AtLeast),
        );
        match (field, operand) {
            (
                Field::Resource(key) | Field::Either(key),
                Operand::Text(service) | Operand::AnyText(service),
            ) if equal && key == "service.name" => {
                query.service.get_or_insert_with(|| service.clone());
            }
            (
                Field::Resource(key) | Field::Span(key) | Field::Either(key),
                Operand::Text(text) | Operand::AnyText(text),
            ) if equal => {
                query.tags.push((key.clone(), text.clone()));
            }
            (Field::Status, Operand::Text(status) | Operand::AnyText(status))
                if equal && status == "error" =>
            {
                query.has_error = Some(true);
            }
            // No span takes longer than its trace.
            (Field::Duration | Field::TraceDuration, Operand::Duration(least)) if more => {
                let before = query.min_duration_ns.unwrap_or(0);
                query.min_duration_ns = Some(before.max(*least));
            }
            _ => {}
        }
    }
    // The store knows operations by their services.
    let name = filter
        .conditions
        .iter()
        .find_map(|condition| match condition {
            Condition {
                field: Field::Name,
                operator: Operator::Equal,
                operand: Operand::Text(name),
            } => Some(name.clone()),
            _ => None,
        });
    query.operation = name.filter(|_| query.service.is_some());
}

/// Tags as `key=value key="value in quotes"`: conditions for one span or its resource.
fn logfmt(text: &str) -> Result<Vec<Condition>, String> {
    let mut conditions = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, after) = rest
            .split_once('=')
            .ok_or_else(|| format!("'{rest}' is not of the form key=value"))?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted
                .split_once('"')
                .ok_or_else(|| format!("the value of '{key}' has no closing quote"))?,
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        conditions.push(Condition::of_tag(key.trim(), value));
        rest = after.trim_start();
    }
    Ok(conditions)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hit {
    #[serde(rename = "traceID")]
    trace_id: TraceId,
    root_service_name: String,
    root_trace_name: String,
    #[serde(serialize_with = "as_text")]
    start_time_unix_nano: u64,
    duration_ms: u64,
    span_set: SpanSet,
    span_sets: [SpanSet; 1],
    service_stats: serde_json::Map<String, serde_json::Value>,
}

#[derive(Clone, Serialize)]
struct SpanSet {
    spans: Vec<HitSpan>,
    matched: usize,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct HitSpan {
    #[serde(rename = "spanID")]
    span_id: quorate_trace::SpanId,
    name: String,
    #[serde(serialize_with = "as_text")]
    start_time_unix_nano: u64,
    #[serde(serialize_with = "as_text")]
    duration_nanos: u64,
    attributes: Vec<serde_json::Value>,
}

/// The answer to a search. Candidates come from the store in rounds, newest first, until there are enough
/// hits, no more candidates, or [`Limits::traces_read`] traces were read.
pub(super) fn answer(
    source: &dyn Source,
    limits: &Limits,
    wanted: &Wanted,
) -> Result<String, Error> {
    let mut query = wanted.query.clone();
    query.limit = wanted.limit;
    let mut hits = Vec::new();
    let mut read = HashSet::new();
    let (mut bytes, mut partial) = (0, false);
    loop {
        let found = source.store().search(&query)?;
        partial |= !found.complete;
        let fresh: Vec<_> = found
            .summaries
            .iter()
            .filter(|summary| read.insert(summary.trace_id))
            .collect();
        for summary in &fresh {
            if hits.len() < wanted.limit {
                hits.extend(hit(source, wanted, summary, &mut bytes)?);
            }
        }
        if hits.len() >= wanted.limit || found.summaries.len() < query.limit {
            break;
        }
        if fresh.is_empty() || read.len() >= limits.traces_read {
            partial = true;
            break;
        }
        // Those that begin no later than the oldest so far; this one is found again and passed over.
        query.end_ns = found.summaries.last().map(|oldest| oldest.start_ns);
        query.limit = (query.limit * 2).min(limits.traces);
    }
    // Tempo has no word for "there may be more" but work that is left to do.
    let metrics = json!({
        "inspectedTraces": read.len(), "inspectedBytes": bytes.to_string(),
        "completedJobs": 1, "totalJobs": if partial { 2 } else { 1 },
    });
    Ok(json!({ "traces": hits, "metrics": metrics }).to_string())
}

fn hit(
    source: &dyn Source,
    wanted: &Wanted,
    summary: &Summary,
    bytes: &mut usize,
) -> Result<Option<Hit>, Error> {
    // Expired since it was found, perhaps.
    let Some(stored) = source.store().get(summary.trace_id)? else {
        return Ok(None);
    };
    *bytes += stored.spans.len();
    let batch = scan(stored.spans)?;
    let of_trace = OfTrace {
        root_service: &summary.root_service,
        root_name: &summary.root_name,
        duration_ns: summary.duration_ns,
    };
    let mut spans = Vec::new();
    let mut matched = 0;
    for span in batch
        .spans()
        .filter(|span| wanted.filter.holds(span, of_trace))
    {
        matched += 1;
        if spans.len() < wanted.spans_per_set {
            spans.push(hit_span(&span));
        }
    }
    Ok((matched > 0).then(|| Hit::new(summary, SpanSet { spans, matched })))
}

fn hit_span(span: &Span<'_>) -> HitSpan {
    HitSpan {
        span_id: span.span_id,
        name: span.name.to_owned(),
        start_time_unix_nano: span.start,
        duration_nanos: span.duration(),
        attributes: vec![json!({
            "key": "service.name", "value": { "stringValue": span.service },
        })],
    }
}

impl Hit {
    fn new(summary: &Summary, set: SpanSet) -> Self {
        let services = summary.services.iter().map(|service| {
            let stats = json!({ "spanCount": service.spans, "errorCount": service.errors });
            (service.service.clone(), stats)
        });
        let root = match summary.root_service.as_str() {
            "" => NO_ROOT,
            service => service,
        };
        Hit {
            trace_id: summary.trace_id,
            root_service_name: root.to_owned(),
            root_trace_name: summary.root_name.clone(),
            start_time_unix_nano: summary.start_ns,
            duration_ms: summary.duration_ns / 1_000_000,
            span_set: set.clone(),
            span_sets: [set],
            service_stats: services.collect(),
        }
    }
}

/// Values that a field has had, with their type in TraceQL.
pub(super) fn values(
    store: &dyn TraceStore,
    field: &Field,
) -> Result<Vec<(&'static str, String)>, Error> {
    let fixed = |values: &[&str]| {
        let values = values.iter().map(|value| ("keyword", (*value).to_owned()));
        values.collect()
    };
    let texts = |values: Vec<String>| {
        let values = values.into_iter().take(VALUES_MAX);
        values.map(|value| ("string", value)).collect()
    };
    Ok(match field {
        Field::Status => fixed(&["error", "ok", "unset"]),
        Field::Kind => fixed(&[
            "client",
            "consumer",
            "internal",
            "producer",
            "server",
            "unspecified",
        ]),
        Field::RootService => texts(store.services()),
        Field::Resource(key) | Field::Either(key) if key == "service.name" => {
            texts(store.services())
        }
        Field::Name | Field::RootName => {
            let services = store.services();
            let operations = services
                .iter()
                .flat_map(|service| store.operations(service, None));
            let mut names: Vec<_> = operations.map(|(name, _)| name).collect();
            names.sort();
            names.dedup();
            texts(names)
        }
        Field::Resource(key) | Field::Span(key) | Field::Either(key) => {
            texts(store.tag_values(key)?)
        }
        Field::StatusMessage | Field::Duration | Field::TraceDuration => Vec::new(),
    })
}
