//! `quorate trace`: traces in files and in a collector, on the command line.

mod check;
mod collector;
mod context_service;
mod export;
mod file;
mod get;
mod http;
mod import;
mod print;
mod report;
mod root_cause;
mod search;
mod source;
#[cfg(test)]
mod tests;
mod tree;

use clap::Subcommand;
use tokio::runtime::Builder;

use self::check::CheckArgs;
use self::context_service::ContextServiceArgs;
use self::export::ExportArgs;
use self::get::GetArgs;
use self::import::ImportArgs;
use self::root_cause::RootCauseArgs;
use self::search::SearchArgs;
use crate::outcome::{Failure, Outcome};

/// What can be done with traces.
#[derive(Debug, Subcommand)]
pub(crate) enum Trace {
    /// Show a trace as a tree, with what is wrong with it.
    Get(GetArgs),
    /// List traces that match.
    Search(SearchArgs),
    /// Check whether traces are whole and consistent.
    Check(CheckArgs),
    /// Say what went wrong in a trace, and where it came from.
    RootCause(RootCauseArgs),
    /// Send the spans of files to a collector.
    Import(ImportArgs),
    /// Write traces in the forms that other programs read.
    Export(ExportArgs),
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
                Trace::Get(arguments) => arguments.run().await,
                Trace::Search(arguments) => arguments.run().await,
                Trace::Check(arguments) => arguments.run().await,
                Trace::RootCause(arguments) => arguments.run().await,
                Trace::Import(arguments) => arguments.run().await,
                Trace::Export(arguments) => arguments.run().await,
                Trace::ContextService(arguments) => arguments.run().await,
            }
        })
    }
}
