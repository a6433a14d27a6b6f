//! Steps of a start that take time: they say what they wait for, and a stop interrupts them.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::StartError;

/// Longer steps are announced after the first time, and again after each of the second.
const FIRST_ANNOUNCEMENT: Duration = Duration::from_secs(1);
const NEXT_ANNOUNCEMENT: Duration = Duration::from_secs(15);

/// Performs a step unless the start is stopped. Says that it waits for `what`.
pub(super) fn step<T, E>(
    stop: &CancellationToken,
    what: &str,
    work: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = Result<T, StartError>>
where
    StartError: From<E>,
{
    // The futures of a start are large.
    let work = Box::pin(work);
    async move {
        let done = stop.run_until_cancelled(announced(what, work)).await;
        Ok(done.ok_or(StartError::Stopped)??)
    }
}

async fn announced<T>(what: &str, mut work: impl Future<Output = T> + Unpin) -> T {
    let mut limit = FIRST_ANNOUNCEMENT;
    loop {
        if let Ok(done) = timeout(limit, &mut work).await {
            return done;
        }
        info!("Waiting for {what}");
        limit = NEXT_ANNOUNCEMENT;
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn a_stop_interrupts_a_step() {
        let stop = CancellationToken::new();
        let waiting = step(&stop, "nothing", pending::<Result<(), StartError>>());
        let (stopped, ()) = tokio::join!(waiting, async { stop.cancel() });
        assert!(matches!(stopped, Err(StartError::Stopped)));
    }
}
