//! The 48 bytes of NTP (RFC 5905, section 7.3), as far as a client of SNTP needs them.
//!
//! | bytes | question | answer |
//! |---|---|---|
//! | 0 | version 4, mode 3 | leap indicator, version, mode 4 |
//! | 1 | | stratum: 0 is a kiss-o'-death, 1 has a clock of its own, 16 (also written 0) is not synchronised |
//! | 3 | | precision, as a power of two of seconds |
//! | 4 to 11 | | root delay and dispersion: how far the server is from the truth |
//! | 12 to 15 | | reference, or the code of a kiss-o'-death |
//! | 24 to 31 | | what the question's bytes 40 to 47 were |
//! | 32 to 39 | | when the question arrived |
//! | 40 to 47 | a random number | when the answer left |
//!
//! Whatever follows (extension fields, authentication) is not looked at.

use std::fmt;

/// Bytes of a packet without what may follow.
pub const PACKET_BYTES: usize = 48;

const VERSION: u8 = 4;
const CLIENT: u8 = 3;
const SERVER: u8 = 4;
const LEAP_UNKNOWN: u8 = 3;
const STRATUM_UNSYNCHRONISED: u8 = 16;

/// A question whose answer must repeat `cookie`.
pub fn question(cookie: u64) -> [u8; PACKET_BYTES] {
    let mut packet = [0; PACKET_BYTES];
    packet[0] = VERSION << 3 | CLIENT;
    packet[40..].copy_from_slice(&cookie.to_be_bytes());
    packet
}

/// What a server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// How many servers are between it and a clock, itself included.
    pub stratum: u8,
    /// What it is off by at most, by what it says of itself, in nanoseconds.
    pub distance_ns: u64,
    /// When the question arrived.
    pub received: NtpTime,
    /// When the answer left.
    pub answered: NtpTime,
}

/// Reads the answer to the question with this cookie. Nothing if it is none, or not to that question: whoever
/// sent it.
pub fn answer(datagram: &[u8], cookie: u64) -> Option<Result<Response, Refusal>> {
    let packet: &[u8; PACKET_BYTES] = datagram.first_chunk()?;
    let mode = packet[0] & 0b111;
    if mode != SERVER || word(packet, 24) != cookie {
        return None;
    }
    Some(read(packet))
}

fn read(packet: &[u8; PACKET_BYTES]) -> Result<Response, Refusal> {
    let version = packet[0] >> 3 & 0b111;
    // Servers of version 3 answer in their own; the fields are the same.
    if !(3..=VERSION).contains(&version) {
        return Err(Refusal::Version(version));
    }
    let stratum = packet[1];
    if stratum == 0 {
        let [.., a, b, c, d] = half(packet, 12).to_be_bytes();
        // Stratum 16 is written as 0 too (RFC 5905, figure 11); then there is no code.
        return Err(match [a, b, c, d] {
            [0, 0, 0, 0] => Refusal::Unsynchronised,
            code => Refusal::Kiss(KissCode(code)),
        });
    }
    if packet[0] >> 6 == LEAP_UNKNOWN || stratum >= STRATUM_UNSYNCHRONISED {
        return Err(Refusal::Unsynchronised);
    }
    let (received, answered) = (word(packet, 32), word(packet, 40));
    if received == 0 || answered == 0 {
        return Err(Refusal::NoTime);
    }
    // RFC 5905, appendix A.5.5.2, less what the client adds: half the delay to the clock, and the dispersion.
    let precision_ns = precision_ns(packet[3] as i8);
    let distance_ns = short_ns(half(packet, 4)) / 2 + short_ns(half(packet, 8)) + precision_ns;
    Ok(Response {
        stratum,
        distance_ns,
        received: NtpTime(received),
        answered: NtpTime(answered),
    })
}

fn word(packet: &[u8; PACKET_BYTES], at: usize) -> u64 {
    let bytes = packet.iter().skip(at).take(8);
    bytes.fold(0, |word, byte| word << 8 | u64::from(*byte))
}

fn half(packet: &[u8; PACKET_BYTES], at: usize) -> u64 {
    word(packet, at) >> 32
}

/// Nanoseconds of seconds with 16 bits of fraction.
fn short_ns(short: u64) -> u64 {
    (short * NANOS_PER_SECOND) >> 16
}

/// Nanoseconds of a power of two of seconds; at least one, and a second for whoever cannot tell seconds apart.
fn precision_ns(precision: i8) -> u64 {
    match precision {
        0.. => NANOS_PER_SECOND,
        below => (NANOS_PER_SECOND >> below.unsigned_abs().min(63)).max(1),
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Seconds from 1900, where NTP's eras begin, to 1970.
const UNIX_SECONDS: i128 = 2_208_988_800;

/// A time as packets have it: 32 bits of seconds since 1900 and 32 of their fraction. The seconds begin anew
/// every 136 years, first in 2036.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// From nanoseconds since 1970.
    pub fn from_unix_ns(unix_ns: i64) -> Self {
        let since_1900 = i128::from(unix_ns) + UNIX_SECONDS * i128::from(NANOS_PER_SECOND);
        NtpTime(((since_1900 << 32).div_euclid(i128::from(NANOS_PER_SECOND))) as u64)
    }

    /// Nanoseconds since 1970 of the time nearest to `near_unix_ns` that is written so: right as long as the
    /// two are not 68 years apart.
    pub fn to_unix_ns(self, near_unix_ns: i64) -> i64 {
        let near = NtpTime::from_unix_ns(near_unix_ns);
        let apart = self.0.wrapping_sub(near.0) as i64;
        let apart_ns = (i128::from(apart) * i128::from(NANOS_PER_SECOND)) >> 32;
        near_unix_ns.saturating_add(apart_ns as i64)
    }
}

/// Why a server's answer says nothing about the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not want to be asked.
    #[error("it refuses to answer: {0}")]
    Kiss(KissCode),
    /// It says that its own clock is not synchronised.
    #[error("its clock is not synchronised")]
    Unsynchronised,
    /// It answers in another version of the protocol.
    #[error("it answers in version {0} of NTP")]
    Version(u8),
    /// One of its timestamps is missing.
    #[error("it does not say what time it is")]
    NoTime,
}

/// Why a server does not want to be asked: four letters (RFC 5905, section 7.4).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KissCode(pub [u8; 4]);

impl KissCode {
    fn meaning(&self) -> &'static str {
        match &self.0 {
            b"RATE" => ", it is asked too often",
            b"DENY" | b"RSTR" => ", this machine may not ask it",
            b"INIT" | b"STEP" => ", it is setting its own clock",
            _ => "",
        }
    }
}

impl fmt::Display for KissCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0.escape_ascii(), self.meaning())
    }
}

impl fmt::Debug for KissCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COOKIE: u64 = 0x0123_4567_89AB_CDEF;

    fn packet() -> [u8; PACKET_BYTES] {
        let mut packet = [0; PACKET_BYTES];
        packet[0] = VERSION << 3 | SERVER;
        packet[1] = 2;
        packet[3] = -20_i8 as u8;
        // A root delay of half a second, a dispersion of a quarter.
        packet[4..8].copy_from_slice(&0x0000_8000_u32.to_be_bytes());
        packet[8..12].copy_from_slice(&0x0000_4000_u32.to_be_bytes());
        packet[24..32].copy_from_slice(&COOKIE.to_be_bytes());
        packet[32..40].copy_from_slice(&7_u64.to_be_bytes());
        packet[40..48].copy_from_slice(&8_u64.to_be_bytes());
        packet
    }

    fn with(at: usize, byte: u8) -> Option<Result<Response, Refusal>> {
        let mut packet = packet();
        packet[at] = byte;
        answer(&packet, COOKIE)
    }

    #[test]
    fn an_answer_is_read() {
        let expected = Response {
            stratum: 2,
            distance_ns: 500_000_000 + 953,
            received: NtpTime(7),
            answered: NtpTime(8),
        };
        assert_eq!(answer(&packet(), COOKIE), Some(Ok(expected)));
        let mut longer = packet().to_vec();
        longer.extend([0xFF; 20]);
        assert_eq!(answer(&longer, COOKIE), Some(Ok(expected)));
        assert_eq!(with(0, 3 << 3 | SERVER), Some(Ok(expected)));
    }

    #[test]
    fn what_is_not_the_answer_is_passed_over() {
        assert_eq!(answer(&packet()[..47], COOKIE), None, "cut off");
        assert_eq!(answer(&packet(), COOKIE + 1), None, "to another question");
        assert_eq!(with(0, VERSION << 3 | CLIENT), None, "a question");
        assert_eq!(with(0, VERSION << 3 | 5), None, "a broadcast");
        assert_eq!(answer(&question(COOKIE), COOKIE), None, "an echo");
    }

    #[test]
    fn who_has_no_time_to_tell_is_named_with_the_reason() {
        let refusal = |at, byte| with(at, byte).and_then(Result::err);
        assert_eq!(refusal(1, 0), Some(Refusal::Unsynchronised));
        assert_eq!(refusal(1, 16), Some(Refusal::Unsynchronised));
        assert_eq!(refusal(1, 255), Some(Refusal::Unsynchronised));
        assert_eq!(
            refusal(0, LEAP_UNKNOWN << 6 | VERSION << 3 | SERVER),
            Some(Refusal::Unsynchronised)
        );
        assert_eq!(refusal(0, 2 << 3 | SERVER), Some(Refusal::Version(2)));
        assert_eq!(refusal(39, 0), Some(Refusal::NoTime));
        assert_eq!(refusal(47, 0), Some(Refusal::NoTime));
        let mut kiss = packet();
        kiss[1] = 0;
        kiss[12..16].copy_from_slice(b"RATE");
        let kiss = answer(&kiss, COOKIE).and_then(Result::err).unwrap();
        assert_eq!(kiss, Refusal::Kiss(KissCode(*b"RATE")));
        assert_eq!(
            kiss.to_string(),
            "it refuses to answer: RATE, it is asked too often"
        );
    }

    #[test]
    fn times_are_those_of_the_era_that_is_near() {
        // RFC 5905, figure 4: the first day of era 1.
        let era_1 = 2_085_978_496 * 1_000_000_000;
        assert_eq!(NtpTime::from_unix_ns(era_1), NtpTime(0));
        assert_eq!(NtpTime(0).to_unix_ns(era_1 - 5), era_1);
        let era_0 = -2_208_988_800 * 1_000_000_000;
        assert_eq!(NtpTime::from_unix_ns(era_0), NtpTime(0));
        assert_eq!(NtpTime(0).to_unix_ns(era_0 + 5), era_0);
        assert_eq!(
            NtpTime(1 << 32).to_unix_ns(era_1 - 5),
            era_1 + 1_000_000_000
        );
    }

    proptest! {
        #[test]
        fn a_time_is_the_same_after_its_way_through_a_packet(
            unix_ns in any::<i64>(),
            apart_ns in -2_000_000_000_000_000_000..2_000_000_000_000_000_000_i64,
        ) {
            let near = unix_ns.saturating_add(apart_ns);
            let back = NtpTime::from_unix_ns(unix_ns).to_unix_ns(near);
            prop_assert!(back.abs_diff(unix_ns) <= 1, "{} {}", back, unix_ns);
        }

        /// Anything may come; what has no cookie counts for nothing, and what counts is within the limits.
        #[test]
        fn any_datagram_is_passed_over_refused_or_read(
            mut datagram in prop::collection::vec(any::<u8>(), 0..96),
            cookie in any::<u64>(),
            repeats in any::<bool>(),
            near in any::<i64>(),
        ) {
            if repeats && datagram.len() >= PACKET_BYTES {
                datagram[0] = datagram[0] & !0b111 | SERVER;
                datagram[24..32].copy_from_slice(&cookie.to_be_bytes());
            }
            match answer(&datagram, cookie) {
                None => prop_assert!(!repeats || datagram.len() < PACKET_BYTES),
                Some(Ok(response)) => {
                    prop_assert!(datagram[0] >> 6 != LEAP_UNKNOWN);
                    prop_assert!((1..16).contains(&datagram[1]));
                    prop_assert!(response.received.0 != 0 && response.answered.0 != 0);
                    // 65 536 seconds of each at most.
                    prop_assert!(response.distance_ns < 200_000 * NANOS_PER_SECOND);
                    response.received.to_unix_ns(near);
                }
                Some(Err(refusal)) => prop_assert!(!refusal.to_string().is_empty()),
            }
        }
    }
}
