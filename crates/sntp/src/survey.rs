//! Several servers at once, and what they say together.

use std::time::Duration;

use quorate_clocks::offset::{Estimate, Sample, Verdict, judge};
use tokio::task::JoinSet;

use crate::query::query;
use crate::{Answer, Options, QueryError, Server};

/// Servers of a survey, at most: enough for a majority with seven liars.
pub const SERVERS_MAX: usize = 16;

/// The longest that is waited for one answer.
const TIMEOUT_MAX: Duration = Duration::from_secs(3_600);

/// What servers said, and what follows.
#[derive(Debug)]
pub struct Survey {
    /// In the order in which they were named.
    pub servers: Vec<Said>,
    /// How far this machine's clock is off, if a majority of those that have a vote agree.
    pub estimate: Option<Estimate>,
}

/// What one server said.
#[derive(Debug)]
pub struct Said {
    /// As it was named.
    pub server: Server,
    /// What it answered, if it did.
    pub answer: Option<Answer>,
    /// Why it does not count, if it does not.
    pub rejection: Option<Rejection>,
}

/// Why a server does not count.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// It did not say what time it is.
    #[error(transparent)]
    Failed(#[from] QueryError),
    /// It is the same as another, and an address has one vote.
    #[error("it has the address of {0}")]
    SameAs(Server),
    /// It may be too far from the truth.
    #[error("too distant: it may be wrong by {} ms", .distance_ns / 1_000_000)]
    TooDistant {
        /// How far.
        distance_ns: u64,
    },
    /// It agrees with no majority.
    #[error("outvoted: it agrees with no majority")]
    Outvoted,
}

/// Why nobody was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSurvey {
    /// No server is named.
    #[error("no time server is named")]
    Nobody,
    /// Too many servers are named.
    #[error("{0} time servers are named, {SERVERS_MAX} at most")]
    TooMany(usize),
    /// A server is named twice.
    #[error("{0} is named twice")]
    Twice(Server),
}

/// Asks all servers at once, and lets them vote. It takes five timeouts at most, one for the name of a server and
/// four for its addresses; two if each has one address.
pub async fn survey(servers: &[Server], options: &Options) -> Result<Survey, InvalidSurvey> {
    if servers.is_empty() {
        return Err(InvalidSurvey::Nobody);
    }
    if servers.len() > SERVERS_MAX {
        return Err(InvalidSurvey::TooMany(servers.len()));
    }
    for (at, server) in servers.iter().enumerate() {
        if servers[..at].contains(server) {
            return Err(InvalidSurvey::Twice(server.clone()));
        }
    }
    let options = Options {
        timeout: options.timeout.min(TIMEOUT_MAX),
        ..*options
    };
    let mut asked = JoinSet::new();
    for (at, server) in servers.iter().cloned().enumerate() {
        asked.spawn(async move { (at, query(&server, options).await) });
    }
    let mut answers = asked.join_all().await;
    answers.sort_unstable_by_key(|(at, _)| *at);
    let answers = answers.into_iter().map(|(_, answer)| answer);
    Ok(decide(servers, answers, &options))
}

fn decide(
    servers: &[Server],
    answers: impl Iterator<Item = Result<Answer, QueryError>>,
    options: &Options,
) -> Survey {
    let mut said: Vec<Said> = Vec::with_capacity(servers.len());
    for (server, answer) in servers.iter().zip(answers) {
        let (answer, rejection) = match answer {
            Ok(answer) => {
                let twin = said.iter().find(|other| {
                    other.rejection.is_none()
                        && other
                            .answer
                            .is_some_and(|other| other.address == answer.address)
                });
                let rejection = twin.map(|twin| Rejection::SameAs(twin.server.clone()));
                (Some(answer), rejection)
            }
            Err(error) => (None, Some(error.into())),
        };
        said.push(Said {
            server: server.clone(),
            answer,
            rejection,
        });
    }
    let estimate = vote(&mut said, options);
    Survey {
        servers: said,
        estimate,
    }
}

fn vote(said: &mut [Said], options: &Options) -> Option<Estimate> {
    let voters = said.iter_mut().filter(|said| said.rejection.is_none());
    let mut voters: Vec<(&mut Said, Sample)> = voters
        .filter_map(|said| said.answer.map(|answer| (said, answer.sample)))
        .collect();
    let samples: Vec<Sample> = voters.iter().map(|(_, sample)| *sample).collect();
    let distance_max = u64::try_from(options.distance_max.as_nanos()).unwrap_or(u64::MAX);
    let judgement = judge(&samples, distance_max);
    for ((said, sample), verdict) in voters.iter_mut().zip(judgement.verdicts) {
        let distance_ns = sample.distance_ns;
        said.rejection = match verdict {
            Verdict::Kept => None,
            Verdict::Outvoted => Some(Rejection::Outvoted),
            Verdict::TooDistant => Some(Rejection::TooDistant { distance_ns }),
        };
    }
    judgement.estimate
}
