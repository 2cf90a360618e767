//! `quorate trace`: traces in files and in a collector, on the command line.

mod context_service;
mod http;

use clap::Subcommand;
use tokio::runtime::Builder;

use self::context_service::ContextServiceArgs;
use crate::outcome::{Failure, Outcome};

/// What can be done with traces.
#[derive(Debug, Subcommand)]
pub(crate) enum Trace {
    /// Serve W3C's validation harness for Trace Context.
    ContextService(ContextServiceArgs),
}

impl Trace {
    /// Does it.
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::local("starting the runtime"))?;
        runtime.block_on(async {
            match self {
                Trace::ContextService(arguments) => arguments.run().await,
            }
        })
    }
}
