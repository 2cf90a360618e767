//! Waiting for what must happen.

use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Long enough for a machine that does a lot besides; a test waits as long only if it fails.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// How often something is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Makes `attempt` until it gives something.
///
/// # Panics
///
/// With `what`, if nothing came within [`DEADLINE`].
pub async fn eventually<T, F>(what: &str, mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let began = Instant::now();
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        assert!(
            began.elapsed() < DEADLINE,
            "not within {DEADLINE:?}: {what}"
        );
        sleep(POLL).await;
    }
}

/// Waits until `condition` holds.
///
/// # Panics
///
/// With `what`, if it does not within [`DEADLINE`].
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    eventually(what, || async { condition().then_some(()) }).await;
}
