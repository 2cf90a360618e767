//! The way to the members: who leads, and one attempt after another until somebody answers.

use crate::{ClientError, Failed, LEADER, Tried};
use parking_lot::Mutex;
use rand::Rng;
use std::error::Error;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, ConnectError, Response, Status};

/// More members than a cluster has; leaders that are hinted at beyond it are not believed.
const MEMBERS_MAX: usize = 64;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause before the first attempt at somebody else, doubled from then on ...
const PAUSE: Duration = Duration::from_millis(5);
/// ... up to this: an election takes a second or two.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Bytes that may be under way on a stream and on a connection; HTTP/2's default of 64 KiB would
/// stop a long value several times.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// The members that are known, each with the generated client `S` of a service.
pub struct Members<S>(Mutex<Known<S>>);

struct Known<S> {
    members: Vec<(String, S)>,
    stub: fn(Channel) -> S,
    /// Who is asked next: the leader as long as it is one.
    next: usize,
}

impl<S: Clone> Members<S> {
    /// The members at `endpoints`, each `host:port`, which are connected to when they are first asked;
    /// `stub` makes a client of the service. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// If an endpoint is no address, or there is none.
    pub fn new<E: Into<String>>(
        endpoints: impl IntoIterator<Item = E>,
        stub: fn(Channel) -> S,
    ) -> Result<Self, ClientError> {
        let mut known = Known {
            members: Vec::new(),
            stub,
            next: 0,
        };
        for endpoint in endpoints {
            let endpoint = endpoint.into();
            known.index(endpoint.strip_prefix("http://").unwrap_or(&endpoint))?;
        }
        if known.members.is_empty() {
            return Err(ClientError::Endpoint {
                endpoint: String::new(),
                reason: "at least one is needed".to_owned(),
            });
        }
        Ok(Members(Mutex::new(known)))
    }

    /// Every member that is known.
    pub fn all(&self) -> Vec<(String, S)> {
        self.0.lock().members.clone()
    }

    /// Asks every member that is known, one after the other and each for so long as `patience`; their answers, or
    /// why there is none.
    pub async fn each<T, F>(
        &self,
        patience: Duration,
        mut ask: impl FnMut(S) -> F,
    ) -> Vec<(String, Result<T, String>)>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut answers = Vec::new();
        for (address, stub) in self.all() {
            let answer = match timeout(patience, ask(stub)).await {
                Ok(Ok(response)) => Ok(response.into_inner()),
                Ok(Err(status)) => Err(words(&status)),
                Err(_) => Err(silence(patience)),
            };
            answers.push((address, answer));
        }
        answers
    }

    /// Makes `attempt` at the member that answered last, and then at others, until one succeeds, an answer
    /// is final or the deadline has passed. An attempt is given up after `patience`.
    ///
    /// # Errors
    ///
    /// If nobody answered in time, or what was answered is final.
    pub async fn call<T, F>(
        &self,
        deadline: Instant,
        patience: Duration,
        mut attempt: impl FnMut(S) -> F,
    ) -> Result<T, Failed>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut journey = Journey::default();
        loop {
            let (member, stub) = self.next();
            let until = deadline.min(Instant::now() + patience);
            let verdict = match timeout_at(until, attempt(stub)).await {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) => {
                    let verdict = Verdict::of(&status);
                    journey.note(&member, words(&status));
                    verdict
                }
                Err(_) => {
                    journey.note(&member, silence(patience));
                    Verdict::UNKNOWN
                }
            };
            journey.unknown |= verdict.unknown;
            if let Some(code) = verdict.last {
                return Err(journey.end(Some(code)));
            }
            let hinted = self.failed(&member, verdict.leader.as_deref());
            if !journey.rest(hinted, deadline).await {
                return Err(journey.end(None));
            }
        }
    }

    fn next(&self) -> (String, S) {
        let known = self.0.lock();
        let (address, stub) = &known.members[known.next];
        (address.clone(), stub.clone())
    }

    /// `member` was no help: the next to ask is the one that it names, if it is another one, or else
    /// whoever comes after it. Whether it named another one.
    fn failed(&self, member: &str, leader: Option<&str>) -> bool {
        let mut known = self.0.lock();
        let hint = leader
            .filter(|leader| *leader != member)
            .and_then(|leader| known.index(leader).ok());
        match hint {
            Some(index) => known.next = index,
            // Unless somebody else has found out more meanwhile.
            None if known.members[known.next].0 == member => {
                known.next = (known.next + 1) % known.members.len();
            }
            None => {}
        }
        hint.is_some()
    }
}

impl<S> Known<S> {
    /// The index of the member at `address`, which is added if it is new.
    fn index(&mut self, address: &str) -> Result<usize, ClientError> {
        let known = self.members.iter().position(|(known, _)| known == address);
        if let Some(index) = known {
            return Ok(index);
        }
        let refused = |reason: String| ClientError::Endpoint {
            endpoint: address.to_owned(),
            reason,
        };
        if self.members.len() >= MEMBERS_MAX {
            return Err(refused(format!("more than {MEMBERS_MAX} members")));
        }
        let endpoint = endpoint(address).map_err(refused)?;
        let stub = (self.stub)(endpoint.connect_lazy());
        self.members.push((address.to_owned(), stub));
        Ok(self.members.len() - 1)
    }
}

fn endpoint(address: &str) -> Result<Endpoint, String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| root_cause(&error).to_string())?;
    let authority = endpoint.uri().authority();
    if authority.is_none_or(|authority| authority.port_u16().is_none()) {
        return Err("the port is missing".to_owned());
    }
    if endpoint.uri().path() != "/" {
        return Err("an address has no path".to_owned());
    }
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        // Without it a small request waits for the acknowledgement of the one before it: 40 ms.
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(5)))
}

/// The attempts of one operation.
#[derive(Default)]
struct Journey {
    tried: Vec<Tried>,
    unknown: bool,
    hints: u32,
    pauses: u32,
}

impl Journey {
    /// Keeps the last answer of each member, the latest at the end.
    fn note(&mut self, member: &str, answer: String) {
        self.tried.retain(|tried| tried.endpoint != member);
        self.tried.push(Tried {
            endpoint: member.to_owned(),
            answer,
        });
    }

    /// Waits a little before the next attempt; not if a leader was named, unless members go on naming
    /// one another. False if there is no time for another attempt.
    async fn rest(&mut self, hinted: bool, deadline: Instant) -> bool {
        if hinted && self.hints < 3 {
            self.hints += 1;
            return Instant::now() < deadline;
        }
        let pause = PAUSE
            .saturating_mul(1 << self.pauses.min(10))
            .min(PAUSE_MAX)
            .mul_f64(rand::rng().random_range(0.5..=1.0));
        self.pauses += 1;
        let until = Instant::now() + pause;
        if until >= deadline {
            return false;
        }
        sleep_until(until).await;
        true
    }

    fn end(self, code: Option<Code>) -> Failed {
        Failed {
            code,
            unknown: self.unknown,
            tried: self.tried,
        }
    }
}

/// What an answer means for the operation.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    /// No other member would say otherwise.
    last: Option<Code>,
    /// The attempt may have had an effect, or may have one later.
    unknown: bool,
    /// Who leads.
    leader: Option<String>,
}

impl Verdict {
    const UNKNOWN: Verdict = Verdict {
        last: None,
        unknown: true,
        leader: None,
    };
    const NOTHING_HAPPENED: Verdict = Verdict {
        last: None,
        unknown: false,
        leader: None,
    };

    fn of(status: &Status) -> Self {
        let named = status.metadata().get(LEADER);
        match status.code() {
            Code::Unavailable if let Some(leader) = named => Verdict {
                leader: leader
                    .to_str()
                    .ok()
                    .filter(|leader| !leader.is_empty())
                    .map(str::to_owned),
                ..Verdict::NOTHING_HAPPENED
            },
            Code::Unavailable if never_connected(status) => Verdict::NOTHING_HAPPENED,
            // Said by the member, and not by a connection that broke (HTTP/2's ENHANCE_YOUR_CALM).
            Code::ResourceExhausted if status.source().is_none() => Verdict::NOTHING_HAPPENED,
            Code::InvalidArgument
            | Code::OutOfRange
            | Code::NotFound
            | Code::FailedPrecondition
            | Code::Unimplemented => Verdict {
                last: Some(status.code()),
                ..Verdict::NOTHING_HAPPENED
            },
            // The request may have arrived.
            _ => Verdict::UNKNOWN,
        }
    }
}

/// Whether the connection could not even be made.
fn never_connected(status: &Status) -> bool {
    causes(status).any(|cause| cause.is::<ConnectError>())
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The innermost cause: tonic's own message for any failed connection is "transport error".
fn root_cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    causes(error).last().unwrap_or(error)
}

/// What a status says to a person.
pub fn words(status: &Status) -> String {
    match status.source() {
        Some(cause) => root_cause(cause).to_string(),
        None => status.message().to_owned(),
    }
}

/// What the lack of an answer says to a person.
pub fn silence(patience: Duration) -> String {
    format!("no answer within {patience:?}")
}

#[cfg(test)]
mod tests;
