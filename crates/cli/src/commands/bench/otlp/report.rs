//! The figures of a run.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::super::cpu::CpuUsed;
use super::corpus::Counts;
use super::load::Tally;

/// CPU time is given per this many spans.
const CPU_UNIT_SPANS: f64 = 1e6;

/// A measurement with the options that it took place under.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) endpoint: String,
    pub(super) protocol: super::Protocol,
    pub(super) connections: u16,
    pub(super) in_flight: u16,
    pub(super) rate: Option<f64>,
    pub(super) seed: u64,
    /// One cycle; the same is sent again and again with other ids.
    pub(super) cycle: Counts,
    /// Cycles that were begun, warm-up included.
    pub(super) cycles: u64,
    pub(super) bytes_per_span: f64,
    #[serde(flatten)]
    pub(super) figures: Figures,
}

/// What was counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Figures {
    seconds: f64,
    requests: u64,
    spans: u64,
    spans_per_second: f64,
    mebibytes_per_second: f64,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    max_ms: f64,
    refused_spans: u64,
    backed_off_requests: u64,
    reconnections: u64,
    failed_requests: u64,
    pub(super) first_error: Option<String>,
    server_cpu_seconds_per_million_spans: Option<f64>,
    generator_cpu_seconds_per_million_spans: Option<f64>,
    server_peak_memory_mib: Option<f64>,
}

impl Figures {
    pub(super) fn new(
        tally: &Tally,
        elapsed: Duration,
        used: CpuUsed,
        peak_bytes: Option<u64>,
    ) -> Self {
        let ms = |quantile| tally.latencies_ns.value_at_quantile(quantile) as f64 / 1e6;
        let per_million = |cpu: Option<Duration>| {
            let cpu = cpu.filter(|_| tally.spans > 0)?;
            Some(cpu.as_secs_f64() * CPU_UNIT_SPANS / tally.spans as f64)
        };
        let seconds = elapsed.as_secs_f64();
        Figures {
            seconds,
            requests: tally.requests,
            spans: tally.spans,
            spans_per_second: tally.spans as f64 / seconds,
            mebibytes_per_second: tally.bytes as f64 / seconds / f64::from(1 << 20),
            p50_ms: ms(0.5),
            p90_ms: ms(0.9),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            max_ms: ms(1.0),
            refused_spans: tally.refused_spans,
            backed_off_requests: tally.backed_off,
            reconnections: tally.reconnected,
            failed_requests: tally.failed,
            first_error: tally.first_error.clone(),
            server_cpu_seconds_per_million_spans: per_million(used.members),
            generator_cpu_seconds_per_million_spans: per_million(used.client),
            server_peak_memory_mib: peak_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20)),
        }
    }

    /// Whether all that was sent was acknowledged in the end.
    pub(super) fn is_clean(&self) -> bool {
        self.failed_requests == 0 && self.refused_spans == 0
    }

    /// For a person.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name:<34}{value}");
        };
        let optional = |value: Option<f64>, digits: usize| {
            value.map_or("-".into(), |value| format!("{value:.digits$}"))
        };
        line("spans acknowledged", self.spans.to_string());
        line("spans a second", format!("{:.0}", self.spans_per_second));
        line("MiB a second", format!("{:.1}", self.mebibytes_per_second));
        line("requests acknowledged", self.requests.to_string());
        line("latency p50, ms", format!("{:.3}", self.p50_ms));
        line("latency p90, ms", format!("{:.3}", self.p90_ms));
        line("latency p99, ms", format!("{:.3}", self.p99_ms));
        line("latency p99.9, ms", format!("{:.3}", self.p999_ms));
        line("latency max, ms", format!("{:.3}", self.max_ms));
        line("spans refused", self.refused_spans.to_string());
        line("requests backed off", self.backed_off_requests.to_string());
        line("requests failed", self.failed_requests.to_string());
        line("reconnections", self.reconnections.to_string());
        let server = optional(self.server_cpu_seconds_per_million_spans, 3);
        line("server CPU s per million spans", server);
        let generator = optional(self.generator_cpu_seconds_per_million_spans, 3);
        line("generator CPU s per million spans", generator);
        let memory = optional(self.server_peak_memory_mib, 1);
        line("server peak memory, MiB", memory);
        text
    }
}
