//! Parameters of a query string, parsed once at the edge.

use std::convert::Infallible;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use quorate_trace::TraceId;

use crate::Error;

/// Parameters that are looked at; a person's query has a dozen.
const PARAMETERS_MAX: usize = 256;

const SECOND_NS: f64 = 1e9;

/// Names and values in their order; names may repeat. An empty value is as good as none: forms send
/// them for fields that were not filled in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Parameters::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Parameters {
    pub(crate) fn parse(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
        let given = pairs.filter(|(_, value)| !value.is_empty());
        Parameters(given.take(PARAMETERS_MAX).collect())
    }

    /// The first value of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All values of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let pairs = self.0.iter().filter(move |(key, _)| key == name);
        pairs.map(|(_, value)| value.as_str())
    }

    /// The value of this name, which this function must be able to read.
    pub(crate) fn read<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Error> {
        let read = self.get(name).map(read).transpose();
        read.map_err(|reason| Error::Parameter { name, reason })
    }

    /// The number of this name.
    pub(crate) fn number<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, Error> {
        self.read(name, |text| {
            let invalid = |_| format!("'{text}' is not a number that it can have");
            text.parse().map_err(invalid)
        })
    }

    /// The number of this name, `most` at most, and at least one.
    pub(crate) fn limit(&self, default: usize, most: usize) -> Result<usize, Error> {
        let asked = self.number::<usize>("limit")?.unwrap_or(default);
        Ok(asked.clamp(1, most))
    }

    /// The duration of this name in nanoseconds, such as `1.5s`.
    pub(crate) fn duration(&self, name: &'static str) -> Result<Option<u64>, Error> {
        self.read(name, duration_ns)
    }

    /// The flag of this name: `true` or `false`.
    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, Error> {
        let read = |text: &str| match text {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(format!("'{other}' is neither true nor false")),
        };
        Ok(self.read(name, read)?.unwrap_or(false))
    }
}

/// Nanoseconds of a duration as Go writes it: numbers with units, such as `1h30m`, `1.5s`, `100us`. Days
/// (`2d`) are Jaeger's addition, and a bare zero has no unit.
pub(crate) fn duration_ns(text: &str) -> Result<u64, String> {
    let invalid = || format!("'{text}' is not a duration such as 10ms, 1.5s or 1h30m");
    if text == "0" {
        return Ok(0);
    }
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, after) = rest.split_at(digits.ok_or_else(invalid)?);
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, after) = after.split_at(unit.unwrap_or(after.len()));
        let scale = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => SECOND_NS,
            "m" => 60.0 * SECOND_NS,
            "h" => 3600.0 * SECOND_NS,
            "d" => 86400.0 * SECOND_NS,
            _ => return Err(invalid()),
        };
        total += number.parse::<f64>().map_err(|_| invalid())? * scale;
        rest = after;
    }
    if text.is_empty() || total > i64::MAX as f64 {
        return Err(invalid());
    }
    Ok(total.round() as u64)
}

/// Nanoseconds since 1970 of a time in RFC 3339, or of a number of nanoseconds.
pub(crate) fn time_ns(text: &str) -> Result<u64, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let invalid = || format!("'{text}' is neither nanoseconds since 1970 nor an RFC 3339 time");
    let time: jiff::Timestamp = text.parse().map_err(|_| invalid())?;
    u64::try_from(time.as_nanosecond()).map_err(|_| invalid())
}

/// Nanoseconds since 1970 of a number of units of so many nanoseconds. What is before 1970 is 1970; what
/// is after all time is the end of it.
pub(crate) fn scaled_ns(text: &str, unit_ns: u64) -> Result<u64, String> {
    let number: i64 = text
        .parse()
        .map_err(|_| format!("'{text}' is not a whole number"))?;
    Ok(u64::try_from(number).unwrap_or(0).saturating_mul(unit_ns))
}

/// A trace id in hexadecimal. Zeros at the front may be missing, as in what Jaeger's clients write.
pub(crate) fn trace_id(text: &str) -> Result<TraceId, Error> {
    let padded = format!("{text:0>32}");
    let invalid = |reason| Error::Parameter {
        name: "trace id",
        reason: format!("'{text}' is no trace id: {reason}"),
    };
    padded.parse().map_err(invalid)
}

/// Now, in nanoseconds since 1970.
pub(crate) fn now_ns() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (text, ns) in [
            ("0", 0),
            ("10ms", 10_000_000),
            ("1.5s", 1_500_000_000),
            ("1h30m", 5_400_000_000_000),
            ("100us", 100_000),
            ("3µs", 3_000),
            ("7ns", 7),
            ("2d", 172_800_000_000_000),
        ] {
            assert_eq!(duration_ns(text), Ok(ns), "{text}");
        }
        for text in [
            "",
            "5",
            "ms",
            "1x",
            "-1s",
            "1..2s",
            "9999999999h",
            "1s 2s",
            "1e3s",
        ] {
            assert!(duration_ns(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_numbers_or_rfc_3339() {
        assert_eq!(
            time_ns("1700000000000000000"),
            Ok(1_700_000_000_000_000_000)
        );
        assert_eq!(
            time_ns("2023-11-14T22:13:20Z"),
            Ok(1_700_000_000_000_000_000)
        );
        assert_eq!(
            time_ns("2023-11-15T00:13:20.5+02:00"),
            Ok(1_700_000_000_500_000_000)
        );
        assert!(time_ns("yesterday").is_err());
        assert!(time_ns("1960-01-01T00:00:00Z").is_err());
        assert_eq!(scaled_ns("-5", 1000), Ok(0));
        assert_eq!(scaled_ns("9223372036854775807", 1000), Ok(u64::MAX));
    }

    #[test]
    fn parameters_repeat_and_may_be_empty() {
        let parameters = Parameters::parse("tag=a%3Db&tag=c%3dd&service=&limit=7&x=%ff");
        assert_eq!(parameters.all("tag").collect::<Vec<_>>(), ["a=b", "c=d"]);
        assert_eq!(parameters.get("service"), None);
        assert_eq!(parameters.limit(20, 5).unwrap(), 5);
        assert_eq!(Parameters::default().limit(20, 5).unwrap(), 5);
        assert!(Parameters::parse("limit=many").limit(1, 2).is_err());
        assert!(Parameters::parse("errors=maybe").flag("errors").is_err());
    }

    #[test]
    fn short_trace_ids_are_filled_up() {
        let id = trace_id("abc").unwrap();
        assert_eq!(id.to_string(), "00000000000000000000000000000abc");
        for text in ["", "0", "xyz", "1234567890123456789012345678901234"] {
            assert!(trace_id(text).is_err(), "{text}");
        }
    }
}
