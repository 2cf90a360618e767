//! How the commands of `quorate trace` write: texts from elsewhere made safe for a terminal, durations and
//! times as people read them, and all of it to standard output at once.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

use crate::outcome::Failure;

/// For whom the result is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// People.
    #[default]
    Text,
    /// Programs: an object a line for every trace.
    Json,
}

/// Writes the result.
pub(super) fn print(bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes.as_ref())
        .and_then(|()| stdout.flush())
        .map_err(Failure::local("writing to standard output"))
}

/// Appends a value as JSON, with a line end.
pub(super) fn push_json(out: &mut String, value: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(value);
    *out += &line.map_err(|error| Failure::Fault(format!("writing JSON: {error}")))?;
    out.push('\n');
    Ok(())
}

/// Characters of a name or a message that are shown.
const SHOWN_MAX: usize = 400;

/// A text that came with a trace, on one line, without what moves a terminal's cursor.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    // Controls, and the marks that reverse the direction of what follows.
    let harmful =
        |c: char| c.is_control() || matches!(c, '\u{200e}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let end = text.char_indices().nth(SHOWN_MAX).map(|(at, _)| at);
    match end {
        None if !text.contains(harmful) => Cow::Borrowed(text),
        _ => {
            let shown = &text[..end.unwrap_or(text.len())];
            let dots = if end.is_some() { "…" } else { "" };
            Cow::Owned(shown.replace(harmful, " ") + dots)
        }
    }
}

/// "1 span", "2 spans".
pub(super) fn counted(count: impl Into<u64>, noun: &str) -> String {
    match count.into() {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

/// Nanoseconds with three digits and a unit.
pub(super) struct Took(pub(super) u64);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Up to where a unit reaches: just below the next one it would be rounded to 1000.
        const UNITS: [(u64, f64, &str); 5] = [
            (999_500, 1e3, "µs"),
            (999_500_000, 1e6, "ms"),
            (600_000_000_000, 1e9, "s"),
            (36_000_000_000_000, 60e9, "min"),
            (u64::MAX, 3600e9, "h"),
        ];
        match self.0 {
            0 => return f.pad("0"),
            nanos @ 1..1_000 => return f.pad(&format!("{nanos} ns")),
            _ => {}
        }
        let unit = UNITS.iter().find(|(limit, ..)| self.0 < *limit);
        let (_, scale, unit) = unit.unwrap_or(&UNITS[4]);
        let value = self.0 as f64 / scale;
        f.pad(&match value {
            ..9.995 => format!("{value:.2} {unit}"),
            ..99.95 => format!("{value:.1} {unit}"),
            _ => format!("{value:.0} {unit}"),
        })
    }
}

/// Nanoseconds since 1970 as a date with milliseconds, in UTC.
pub(super) struct At(pub(super) u64);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond((self.0 / 1_000_000) as i64) {
            Ok(_) if self.0 == 0 => f.pad("no time"),
            Ok(time) => f.pad(&format!("{time:.3}")),
            // After the year 9999.
            Err(_) => write!(f, "{} ns", self.0),
        }
    }
}

/// Reads "10ms", "1.5s" as nanoseconds.
pub(super) fn parse_duration(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let scale = match unit {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3600e9,
        _ => return Err("a number with ns, us, ms, s, m or h, such as 1.5s".into()),
    };
    let number: f64 = number.parse().map_err(|_| "not a number before the unit")?;
    Ok((number * scale).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let table = [
            (0, "0"),
            (999, "999 ns"),
            (1_500, "1.50 µs"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (9_994_000, "9.99 ms"),
            (9_996_000, "10.0 ms"),
            (123_456_789, "123 ms"),
            (90_000_000_000, "90.0 s"),
            (1_200_000_000_000, "20.0 min"),
            (u64::MAX, "5124096 h"),
        ];
        for (nanos, text) in table {
            assert_eq!(Took(nanos).to_string(), text);
        }
        assert_eq!(format!("{:>8}", Took(1_500)), " 1.50 µs");
    }

    #[test]
    fn durations_are_read_with_their_unit() {
        assert_eq!(parse_duration("1.5s"), Ok(1_500_000_000));
        assert_eq!(parse_duration("250us"), Ok(250_000));
        assert_eq!(parse_duration("2h"), Ok(7_200_000_000_000));
        for text in ["", "5", "ms", "-1s", "1e3s", "1.2.3s", "1 s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_dates() {
        assert_eq!(
            At(1_700_000_000_123_456_789).to_string(),
            "2023-11-14T22:13:20.123Z"
        );
        assert_eq!(At(0).to_string(), "no time");
        assert_eq!(At(u64::MAX).to_string(), "2554-07-21T23:34:33.709Z");
    }

    #[test]
    fn what_would_upset_a_terminal_is_left_out() {
        assert_eq!(plain("GET /grüße"), "GET /grüße");
        assert_eq!(plain("a\x1b[2Jb\u{202e}c\n"), "a [2Jb c ");
        assert_eq!(plain(&"é".repeat(500)).chars().count(), SHOWN_MAX + 1);
    }
}
