//! The figures of a measurement, as a table and as JSON.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::cpu::CpuUsed;
use super::load::Tally;
use super::{LoadArgs, Target};
use crate::outcome::Failure;

/// CPU time is given per this many puts.
const CPU_UNIT_PUTS: f64 = 10_000.0;

/// A measurement with the options that it took place under.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    target: Target,
    endpoints: Vec<String>,
    connections: u16,
    threads: u16,
    keys: u64,
    value_bytes: u32,
    warmup_seconds: u64,
    seed: u64,
    /// One entry per number of clients, in the order of measuring.
    pub(crate) levels: Vec<Level>,
}

/// The figures at one number of clients.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Level {
    clients: u16,
    leader: String,
    puts: u64,
    seconds: f64,
    puts_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    max_ms: f64,
    errors: u64,
    first_error: Option<String>,
    members_cpu_seconds_per_10000_puts: Option<f64>,
    client_cpu_seconds_per_10000_puts: Option<f64>,
}

impl Level {
    /// Derives the figures from what was counted.
    pub(crate) fn new(
        clients: u16,
        leader: String,
        tally: &Tally,
        elapsed: Duration,
        used: CpuUsed,
    ) -> Self {
        let puts = tally.latencies_ns.len();
        let ms = |quantile| tally.latencies_ns.value_at_quantile(quantile) as f64 / 1e6;
        let per_unit = |cpu: Option<Duration>| {
            let cpu = cpu.filter(|_| puts > 0)?;
            Some(cpu.as_secs_f64() * CPU_UNIT_PUTS / puts as f64)
        };
        Level {
            clients,
            leader,
            puts,
            seconds: elapsed.as_secs_f64(),
            puts_per_second: puts as f64 / elapsed.as_secs_f64(),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            max_ms: ms(1.0),
            errors: tally.errors,
            first_error: tally.first_error.as_ref().map(ToString::to_string),
            members_cpu_seconds_per_10000_puts: per_unit(used.members),
            client_cpu_seconds_per_10000_puts: per_unit(used.client),
        }
    }

    /// One line of the table, under [`Report::table_header`].
    pub(crate) fn table_row(&self) -> String {
        let cpu =
            |figure: Option<f64>| figure.map_or("-".into(), |seconds| format!("{seconds:.2}"));
        row([
            self.clients.to_string(),
            format!("{:.0}", self.puts_per_second),
            format!("{:.3}", self.p50_ms),
            format!("{:.3}", self.p99_ms),
            format!("{:.3}", self.p999_ms),
            format!("{:.3}", self.max_ms),
            self.errors.to_string(),
            cpu(self.members_cpu_seconds_per_10000_puts),
            cpu(self.client_cpu_seconds_per_10000_puts),
        ])
    }
}

impl Report {
    /// A report without figures yet.
    pub(super) fn new(target: Target, args: &LoadArgs) -> Self {
        Report {
            target,
            endpoints: args.endpoints.iter().map(ToString::to_string).collect(),
            connections: args.connections,
            threads: args.threads,
            keys: args.keys,
            value_bytes: args.value_bytes,
            warmup_seconds: args.warmup_seconds,
            seed: args.seed,
            levels: Vec::with_capacity(args.clients.len()),
        }
    }

    /// The names of the columns; single words, so that a script can split a row at white space.
    pub(crate) fn table_header() -> String {
        row([
            "clients",
            "puts/s",
            "p50_ms",
            "p99_ms",
            "p99.9_ms",
            "max_ms",
            "errors",
            "members_cpu",
            "client_cpu",
        ]
        .map(String::from))
    }

    /// The first failed put of the first level that has one.
    pub(crate) fn first_error(&self) -> Option<&str> {
        self.levels
            .iter()
            .find_map(|level| level.first_error.as_deref())
    }

    /// Writes the report to a file as JSON.
    pub(crate) fn write_json(&self, path: &Path) -> Result<(), Failure> {
        write_json(self, path)
    }
}

/// Writes a report to a file as JSON.
pub(super) fn write_json(report: &impl Serialize, path: &Path) -> Result<(), Failure> {
    let write = || -> std::io::Result<()> {
        let mut text = serde_json::to_string_pretty(report)?;
        text.push('\n');
        fs::write(path, text)
    };
    write().map_err(Failure::local(format!("writing {}", path.display())))
}

fn row(cells: [String; 9]) -> String {
    let mut line = cells.map(|cell| format!("{cell:>12}")).concat();
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::super::load::ClientError;
    use super::*;

    /// 1000 puts of 1 to 1000 ms and one failure, in two seconds.
    fn level() -> Level {
        let mut tally = Tally::new();
        for ms in 1..=1000 {
            tally.succeeded(Duration::from_millis(ms));
        }
        tally.failed(ClientError("Unavailable: no leader".into()));
        let used = CpuUsed {
            members: Some(Duration::from_millis(130)),
            client: None,
        };
        let leader = "http://127.0.0.1:2379/".into();
        Level::new(16, leader, &tally, Duration::from_secs(2), used)
    }

    fn close(figure: f64, expected: f64) -> bool {
        (figure - expected).abs() <= expected * 0.001
    }

    #[test]
    fn percentiles_are_within_a_thousandth() {
        let level = level();
        assert!(close(level.p50_ms, 500.0), "{}", level.p50_ms);
        assert!(close(level.p99_ms, 990.0), "{}", level.p99_ms);
        assert!(close(level.p999_ms, 999.0), "{}", level.p999_ms);
        assert!(close(level.max_ms, 1000.0), "{}", level.max_ms);
    }

    #[test]
    fn rates_count_acknowledged_puts_only() {
        let level = level();
        assert_eq!(level.puts, 1000);
        assert_eq!(level.puts_per_second, 500.0);
        assert_eq!(level.errors, 1);
        assert!(close(
            level.members_cpu_seconds_per_10000_puts.unwrap(),
            1.3
        ));
    }

    #[test]
    fn without_puts_there_is_no_cpu_per_put() {
        let used = CpuUsed {
            members: Some(Duration::from_secs(1)),
            client: Some(Duration::from_secs(1)),
        };
        let level = Level::new(
            1,
            String::new(),
            &Tally::new(),
            Duration::from_secs(1),
            used,
        );
        assert_eq!(level.members_cpu_seconds_per_10000_puts, None);
        assert_eq!(level.puts_per_second, 0.0);
    }

    #[test]
    fn a_row_stands_under_its_header() {
        let level = Level {
            p50_ms: 2.6,
            p99_ms: 11.5,
            p999_ms: 20.25,
            max_ms: 1234.5678,
            ..level()
        };
        let table = Report::table_header() + &level.table_row();
        assert_eq!(
            table,
            [
                "     clients      puts/s      p50_ms      p99_ms    p99.9_ms      max_ms      errors members_cpu  client_cpu",
                "          16         500       2.600      11.500      20.250    1234.568           1        1.30           -",
                "",
            ]
            .join("\n")
        );
    }
}
