//! Takes spans, counts them and forgets them.
//!
//! ```text
//! cargo run --release -p quorate-intake --example count -- 127.0.0.1:4317
//! ```
//!
//! It shows how a sink is written, and what the intake alone costs.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quorate_intake::{Intake, Options, Refusal, Sink, Transport};
use quorate_trace::wire::Batch;
use tokio::net::TcpListener;
use tokio::signal::ctrl_c;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Default)]
struct Count(AtomicU64);

impl Sink for Count {
    async fn accept(&self, batch: Batch, _: Transport) -> Result<(), Refusal> {
        self.0.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:4317");
    let listener = TcpListener::bind(address).await?;
    let count = Arc::new(Count::default());
    let intake = Intake::new(count.clone(), Options::default());
    intake.serve(listener, async { drop(ctrl_c().await) }).await;
    writeln!(
        std::io::stdout(),
        "{} spans",
        count.0.load(Ordering::Relaxed)
    )
}
