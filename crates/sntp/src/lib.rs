//! Asks time servers what time it is, over SNTP (RFC 4330, RFC 5905), and how far this machine's clock is off.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use quorate_sntp::{Options, Server, survey};
//!
//! let servers: Vec<Server> = ["ntp1.example", "ntp2.example:1123", "[2001:db8::1]"]
//!     .map(str::parse)
//!     .into_iter()
//!     .collect::<Result<_, _>>()?;
//! let survey = survey(&servers, &Options::default()).await?;
//! if let Some(estimate) = survey.estimate {
//!     println!("behind by {} ns", estimate.offset_ns);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The arithmetic and the selection are [`quorate_clocks::offset`], which does no I/O; here are the packets
//! ([`packet`]), the sockets, and the time that is waited.
//!
//! # What is believed
//!
//! - **Only answers to this question.** The question's transmit timestamp is a random number in place of the
//!   time (as draft-ietf-ntp-data-minimization recommends), and the answer must repeat it. Who cannot see the
//!   question cannot answer it, and nobody is told what this machine's clock says. Datagrams that do not
//!   repeat it are passed over: they must not keep the true answer from being heard.
//! - **Nobody without a clock.** A server that says that it is not synchronised, or that it wants not to be
//!   asked (a kiss-o'-death), is named with its reason.
//! - **Nobody alone, if there are several.** A majority decides, and an address has one vote, however many
//!   names it has.
//!
//! The time that an exchange took is read from the monotonic clock, so that a wall clock that is set meanwhile
//! does no harm.
//!
//! # Limits
//!
//! Servers, addresses of a server, datagrams that are passed over, and all waiting.
//!
//! # Why not a client from the registry
//!
//! `rsntp` panics where a machine's clock is before 1970, takes both of its readings from the wall clock, gives
//! up at the first datagram that is not the answer, and keeps the four timestamps and the server's own error to
//! itself; without those there are no bounds, and no vote. The packet is 48 bytes.

pub mod packet;
mod query;
mod server;
mod survey;

pub use query::{Answer, QueryError};
pub use server::{InvalidServer, Server};
pub use survey::{InvalidSurvey, Rejection, SERVERS_MAX, Said, Survey, survey};

use std::time::Duration;

/// How to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long the answer of one address, and the resolution of a name, is waited for: an hour at most.
    pub timeout: Duration,
    /// Samples that may be further from the truth have no vote.
    pub distance_max: Duration,
}

impl Default for Options {
    /// Two seconds; and one of distance, as in RFC 5905 (MAXDIST).
    fn default() -> Self {
        Options {
            timeout: Duration::from_secs(2),
            distance_max: Duration::from_secs(1),
        }
    }
}
