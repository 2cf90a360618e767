//! `quorate clock`: this machine's clock, held against others'.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

use clap::{Args, Subcommand};
use quorate_sntp::{InvalidSurvey, Options, Said, Server, Survey, survey};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::outcome::{Failure, Outcome};

/// What can be asked of this machine's clock.
#[derive(Debug, Subcommand)]
pub(crate) enum Clock {
    /// Ask time servers how far this machine's clock is off.
    Offset(OffsetArgs),
}

impl Clock {
    /// Does it.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let Clock::Offset(offset) = self;
        offset.run()
    }
}

/// Options of `quorate clock offset`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct OffsetArgs {
    /// Servers of NTP, separated by commas: names or addresses, with a port if it is not 123.
    #[arg(
        long,
        value_name = "SERVER,...",
        value_delimiter = ',',
        required = true
    )]
    servers: Vec<Server>,

    /// How long the answer of a server is waited for.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    timeout: u64,

    /// Servers that may be wrong by more have no vote.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    max_distance: u64,

    /// End with status 1 unless the clock is certainly right within so much.
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(..=86_400_000))]
    within: Option<u64>,

    /// Print the result as JSON; times are in nanoseconds.
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Asks all servers once, over SNTP, and sets nothing. Each answer puts the truth between two bounds: the
offset, give or take half of what the way took and what the server owns to be wrong by. A server whose
bounds agree with no majority of the others is outvoted. The offset is the median of those that are left,
and as long as most servers are right the truth is within the bounds that are printed.

Three servers are needed to find one that is wrong, five for two.

Exit status 0 means that there is an offset, and that it is certainly within --within; 1 that what was
answered does not settle it, or that it may be beyond; 3 that no server says what time it is.

Examples:
  quorate clock offset --servers ntp1.example,ntp2.example,ntp3.example
  quorate clock offset --servers 192.0.2.1,[2001:db8::1]:1123 --within 100 --json";

impl OffsetArgs {
    fn run(self) -> Result<Outcome, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Failure::local("starting the runtime"))?;
        let options = Options {
            timeout: Duration::from_millis(self.timeout),
            distance_max: Duration::from_millis(self.max_distance),
        };
        let asked = runtime.block_on(survey(&self.servers, &options));
        let survey = asked.map_err(|error: InvalidSurvey| Failure::Usage(error.to_string()))?;
        let text = match self.json {
            true => format!("{:#}\n", json_of(&survey)),
            false => text_of(&survey),
        };
        let written = io::stdout().lock().write_all(text.as_bytes());
        written.map_err(Failure::local("printing the result"))?;
        self.judge(&survey)
    }

    fn judge(&self, survey: &Survey) -> Result<Outcome, Failure> {
        let Some(estimate) = survey.estimate else {
            if survey.servers.iter().any(|said| said.answer.is_some()) {
                return Ok(Outcome::Refuted);
            }
            let why = "no time server says what time it is".to_owned();
            return Err(Failure::Cluster(why));
        };
        let off_ns = estimate
            .low_ns
            .unsigned_abs()
            .max(estimate.high_ns.unsigned_abs());
        let within_ns = self.within.map(|ms| ms.saturating_mul(1_000_000));
        Ok(match within_ns {
            Some(within_ns) if off_ns > within_ns => Outcome::Refuted,
            _ => Outcome::Holds,
        })
    }
}

fn json_of(survey: &Survey) -> Value {
    let server = |said: &Said| {
        let answer = said.answer;
        let sample = answer.map(|answer| answer.sample);
        json!({
            "server": said.server.to_string(),
            "address": answer.map(|answer| answer.address.to_string()),
            "stratum": answer.map(|answer| answer.stratum),
            "offsetNs": sample.map(|sample| sample.offset_ns),
            "delayNs": sample.map(|sample| sample.delay_ns),
            "distanceNs": sample.map(|sample| sample.distance_ns),
            "counts": said.rejection.is_none(),
            "rejection": said.rejection.as_ref().map(ToString::to_string),
        })
    };
    let servers: Vec<Value> = survey.servers.iter().map(server).collect();
    let estimate = survey.estimate.map(|estimate| {
        json!({
            "offsetNs": estimate.offset_ns,
            "lowNs": estimate.low_ns,
            "highNs": estimate.high_ns,
        })
    });
    json!({ "estimate": estimate, "servers": servers })
}

fn text_of(survey: &Survey) -> String {
    let names = survey
        .servers
        .iter()
        .map(|said| said.server.to_string().len());
    let width = names.max().unwrap_or_default().max("server".len());
    let mut text = format!(
        "{:width$}  {:>12}  {:>12}  {:>12}\n",
        "server", "offset", "delay", "error up to"
    );
    for said in &survey.servers {
        let sample = said.answer.map(|answer| answer.sample);
        let offset = sample.map(|sample| signed(sample.offset_ns));
        let delay = sample.map(|sample| unsigned(sample.delay_ns));
        let distance = sample.map(|sample| unsigned(sample.distance_ns));
        let [offset, delay, distance] = [offset, delay, distance].map(Option::unwrap_or_default);
        let server = said.server.to_string();
        let why = said.rejection.as_ref().map(ToString::to_string);
        let why = why.map(|why| format!("  {why}")).unwrap_or_default();
        let _ = writeln!(
            text,
            "{server:width$}  {offset:>12}  {delay:>12}  {distance:>12}{why}"
        );
    }
    text.push('\n');
    text.push_str(&conclusion(survey));
    text
}

fn conclusion(survey: &Survey) -> String {
    let Some(estimate) = survey.estimate else {
        let answers = survey.servers.iter().filter(|said| said.answer.is_some());
        return match answers.count() {
            0 => "No offset: nobody answered.\n".to_owned(),
            1 => "No offset: the only answer does not count.\n".to_owned(),
            many => format!("No offset: of {many} that answered, no majority agrees.\n"),
        };
    };
    let direction = match estimate.offset_ns {
        ..0 => "ahead",
        _ => "behind",
    };
    let counted = survey
        .servers
        .iter()
        .filter(|said| said.rejection.is_none());
    format!(
        "This machine's clock is {direction} by {}: its offset is from {} to {}, by {} of {} servers.\n",
        unsigned(estimate.offset_ns.unsigned_abs()),
        signed(estimate.low_ns),
        signed(estimate.high_ns),
        counted.count(),
        survey.servers.len(),
    )
}

fn signed(ns: i64) -> String {
    let sign = if ns < 0 { '-' } else { '+' };
    format!("{sign}{}", unsigned(ns.unsigned_abs()))
}

/// With three digits after the point, in the largest unit that leaves one before it.
fn unsigned(ns: u64) -> String {
    let (unit_ns, unit) = match ns {
        0..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    format!("{:.3} {unit}", ns as f64 / f64::from(unit_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_suits_them() {
        assert_eq!(signed(-1_500), "-1.500 µs");
        assert_eq!(signed(2_500_000), "+2.500 ms");
        assert_eq!(unsigned(3_600_000_000_000), "3600.000 s");
        assert_eq!(signed(0), "+0.000 µs");
    }
}
