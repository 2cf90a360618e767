//! `quorate explore`: stateright's explorer on one configuration of a protocol.

use std::io::{self, Write};
use std::net::SocketAddr;

use clap::Args;

use super::check::{ScopeName, named, protocols};
use crate::outcome::{Failure, Outcome};

/// Options of `quorate explore`.
#[derive(Debug, Args)]
pub(crate) struct ExploreArgs {
    /// The protocol.
    protocol: String,

    /// The scope that the configuration is of.
    #[arg(long, value_enum, default_value_t)]
    scope: ScopeName,

    /// The first configuration whose name contains this; the first of the scope by default.
    #[arg(long, value_name = "NAME")]
    configuration: Option<String>,

    /// Where the explorer listens; with port 0 the system chooses one.
    #[arg(long, default_value = "127.0.0.1:3000")]
    address: SocketAddr,
}

impl ExploreArgs {
    /// Serves the explorer until the process is interrupted.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let chosen = protocols(Some(&self.protocol))?;
        let all = chosen
            .iter()
            .flat_map(|protocol| protocol.configurations(self.scope.into()));
        let named = named(all.collect(), self.configuration.as_deref())?;
        let Some(configuration) = named.into_iter().next() else {
            return Err(Failure::Usage(format!(
                "{} has no configurations",
                self.protocol
            )));
        };
        let name = configuration.title().to_owned();
        let tell = move |address| {
            // Whoever does not read it can still open the address that was asked for.
            let _ = writeln!(io::stdout(), "{name}: http://{address} (Ctrl-C ends)");
        };
        let attempt = format!("serving the explorer at {}", self.address);
        let served = configuration.explore(self.address, Box::new(tell));
        served.map_err(Failure::local(attempt))?;
        Ok(Outcome::Holds)
    }
}
