//! One question to one server.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use quorate_clocks::offset::{Exchange, InvalidExchange, Sample};
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::{Instant, timeout_at};

use crate::packet::{self, Refusal, Response};
use crate::{Options, Server};

/// Addresses of a name that are tried, in the resolver's order.
const ADDRESSES_MAX: usize = 4;

/// Datagrams that are not the answer, after which a server is given up: somebody floods this machine.
const PASSED_OVER_MAX: usize = 1_000;

/// Room for an answer. What is longer is cut off, and what is cut off is not looked at.
const DATAGRAM_BYTES: usize = 128;

/// Servers and ways are never taken to be better than this together (RFC 5905: half of MINDISP), since asking
/// once does not show how they vary.
const DISTANCE_MIN_NS: u64 = 2_500_000;

/// What a clock may gain or lose in a second while it is being compared (RFC 5905: PHI).
const DRIFT_NS_PER_SECOND: u64 = 15_000;

/// What a server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who answered.
    pub address: SocketAddr,
    /// How many servers are between it and a clock, itself included.
    pub stratum: u8,
    /// Offset and delay.
    pub sample: Sample,
}

/// Why a server says nothing about this machine's clock.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// Its name has no address.
    #[error("its name cannot be resolved: {0}")]
    Unknown(io::Error),
    /// It cannot be reached.
    #[error("it cannot be reached: {0}")]
    Unreachable(io::Error),
    /// It does not answer.
    #[error("no answer within {} ms{}", .waited.as_millis(), others(*.passed_over))]
    NoAnswer {
        /// For how long was waited.
        waited: Duration,
        /// How many datagrams came that were not the answer.
        passed_over: usize,
    },
    /// It has no time to tell.
    #[error("{0}")]
    Refused(Refusal),
    /// Its timestamps contradict each other.
    #[error("{0}")]
    Absurd(InvalidExchange),
}

fn others(passed_over: usize) -> String {
    match passed_over {
        0 => String::new(),
        some => format!(", but {some} datagrams that answer another question"),
    }
}

/// Asks a server; of several addresses the first that answers.
pub(crate) async fn query(server: &Server, options: Options) -> Result<Answer, QueryError> {
    let mut failure = None;
    for address in resolve(server, options).await? {
        match ask(address, options).await {
            Ok(answer) => return Ok(answer),
            Err(error) => failure = Some(error),
        }
    }
    let nowhere = || QueryError::Unknown(io::Error::other("it has no address"));
    Err(failure.unwrap_or_else(nowhere))
}

async fn resolve(server: &Server, options: Options) -> Result<Vec<SocketAddr>, QueryError> {
    let deadline = Instant::now() + options.timeout;
    let looked_up = timeout_at(deadline, lookup_host((server.host.as_str(), server.port))).await;
    let slow = |_| io::Error::new(io::ErrorKind::TimedOut, "the resolver does not answer");
    let found = looked_up.map_err(slow).and_then(|found| found);
    Ok(found
        .map_err(QueryError::Unknown)?
        .take(ADDRESSES_MAX)
        .collect())
}

async fn ask(address: SocketAddr, options: Options) -> Result<Answer, QueryError> {
    let local: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // Connected: the system passes over what others send, and tells of a port where nobody listens.
    let socket = UdpSocket::bind(local)
        .await
        .map_err(QueryError::Unreachable)?;
    socket
        .connect(address)
        .await
        .map_err(QueryError::Unreachable)?;
    let cookie = rand::random();
    // In this order: if this thread is made to wait in between, the delay is overstated and the truth stays
    // within the bounds. The other way round it would not.
    let asked = Instant::now();
    let asked_ns = unix_ns(SystemTime::now());
    let sent = socket.send(&packet::question(cookie)).await;
    sent.map_err(QueryError::Unreachable)?;
    let (response, away) = hear(&socket, cookie, asked, options.timeout).await?;
    let sample = sample(asked_ns, away, &response).map_err(QueryError::Absurd)?;
    Ok(Answer {
        address,
        stratum: response.stratum,
        sample,
    })
}

/// Waits for the answer; and how long it was waited for.
async fn hear(
    socket: &UdpSocket,
    cookie: u64,
    asked: Instant,
    waited: Duration,
) -> Result<(Response, Duration), QueryError> {
    let mut datagram = [0; DATAGRAM_BYTES];
    for passed_over in 0..PASSED_OVER_MAX {
        let Ok(received) = timeout_at(asked + waited, socket.recv(&mut datagram)).await else {
            return Err(QueryError::NoAnswer {
                waited,
                passed_over,
            });
        };
        let away = asked.elapsed();
        let bytes = received.map_err(QueryError::Unreachable)?;
        match packet::answer(&datagram[..bytes], cookie) {
            None => {}
            Some(Ok(response)) => return Ok((response, away)),
            Some(Err(refusal)) => return Err(QueryError::Refused(refusal)),
        }
    }
    Err(QueryError::NoAnswer {
        waited: asked.elapsed(),
        passed_over: PASSED_OVER_MAX,
    })
}

/// What the answer to a question says that was asked at `asked_ns` and was away for so long.
fn sample(asked_ns: i64, away: Duration, response: &Response) -> Result<Sample, InvalidExchange> {
    let away_ns = i64::try_from(away.as_nanos()).unwrap_or(i64::MAX);
    let drift_ns = (away.as_millis() as u64).saturating_mul(DRIFT_NS_PER_SECOND / 1_000);
    let exchange = Exchange {
        asked_ns,
        received_ns: response.received.to_unix_ns(asked_ns),
        answered_ns: response.answered.to_unix_ns(asked_ns),
        arrived_ns: asked_ns.saturating_add(away_ns),
    };
    let mut sample = exchange.sample(response.distance_ns.saturating_add(drift_ns))?;
    sample.distance_ns = sample.distance_ns.max(DISTANCE_MIN_NS);
    Ok(sample)
}

/// Nanoseconds since 1970, negative before; at the ends of what 64 bits hold, the end.
fn unix_ns(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::NtpTime;

    #[test]
    fn clocks_before_1970_have_a_time_too() {
        let second = Duration::from_secs(1);
        assert_eq!(unix_ns(SystemTime::UNIX_EPOCH - second), -1_000_000_000);
        assert_eq!(unix_ns(SystemTime::UNIX_EPOCH + second), 1_000_000_000);
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000_000);
        assert_eq!(unix_ns(far), i64::MAX);
    }

    #[test]
    fn a_sample_allows_for_drift_and_for_what_asking_once_does_not_show() {
        let asked_ns = 1_790_000_000_000_000_000;
        let response = |distance_ns| Response {
            stratum: 1,
            distance_ns,
            received: NtpTime::from_unix_ns(asked_ns + 1_000_000_100),
            answered: NtpTime::from_unix_ns(asked_ns + 1_000_000_100),
        };
        let away = Duration::from_nanos(200);
        let near = sample(asked_ns, away, &response(5)).unwrap();
        assert_eq!(near.distance_ns, DISTANCE_MIN_NS);
        assert!(near.offset_ns.abs_diff(1_000_000_000) <= 2, "{near:?}");
        let far = sample(asked_ns, 2 * Duration::from_secs(1), &response(7_000_000)).unwrap();
        assert_eq!(far.distance_ns, 1_000_000_000 + 7_000_000 + 30_000);
    }
}
