//! Runs a source on one task: enforces the timeout, and stops the source when it has to.

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::panic::caught;
use crate::source::{Source, SourceError};
use crate::task::Task;

/// Scrapes one location until the source is done, `stop`, its timeout, or the end of the receiver.
///
/// Dropping the future drops the source's future, which kills at once whatever the source started. A panic
/// of the source fails the location. [Secrets](Source::secrets) do not appear in the error and the log.
pub async fn scrape(
    source: &dyn Source,
    task: Task,
    stop: &CancellationToken,
) -> Result<(), SourceError> {
    if stop.is_cancelled() {
        return Err(SourceError::Stopped);
    }
    let secrets = source.secrets();
    task.hide(secrets.clone());
    scrape_until(source, &task, stop).await.map_err(|error| error.hiding(&secrets))
}

async fn scrape_until(
    source: &dyn Source,
    task: &Task,
    stop: &CancellationToken,
) -> Result<(), SourceError> {
    let after = source.timeout();
    let mut scraping = Box::pin(async {
        let panicked = |message| SourceError::failed(format!("the source panicked: {message}"));
        caught(source.scrape(task)).await.unwrap_or_else(|message| Err(panicked(message)))
    });
    let cause = tokio::select! {
        biased;
        () = stop.cancelled() => SourceError::Stopped,
        () = task.receiver_gone() => SourceError::Stopped,
        () = sleep(after) => SourceError::TimedOut { after },
        result = &mut scraping => return within_limit(task, result),
    };
    task.cancel();
    // The source may return anything now: the cause stands.
    let _late = timeout(source.wind_down(), scraping).await;
    Err(cause)
}

/// A source that pushed too much ends with the error of that push, or ignored it.
fn within_limit(task: &Task, result: Result<(), SourceError>) -> Result<(), SourceError> {
    match result {
        Ok(()) | Err(SourceError::Stopped) if task.is_over_limit() => {
            task.request().limit_exceeded()
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use async_trait::async_trait;
    use serde_json::{Map, json};
    use tokio::time::Instant;

    use super::*;
    use crate::property::Property;
    use crate::secrets::Secrets;
    use crate::task::{Found, ScrapeRequest};
    use crate::tests::request;

    /// Pushes without an end, or waits forever.
    #[derive(Default)]
    struct Endless {
        waits: bool,
        wind_down: Duration,
        wound_down: AtomicBool,
    }

    #[async_trait]
    impl Source for Endless {
        fn wind_down(&self) -> Duration {
            self.wind_down
        }

        async fn scrape(&self, task: &Task) -> Result<(), SourceError> {
            if !self.waits {
                loop {
                    task.push(Property::new("a", Map::new())).await?;
                }
            }
            task.cancelled().await;
            sleep(Duration::from_secs(1)).await;
            self.wound_down.store(true, Ordering::Relaxed);
            Ok(())
        }
    }

    async fn run(source: &Endless, request: ScrapeRequest) -> (Result<(), SourceError>, usize) {
        let (task, mut output) = Task::new(request);
        let count = async {
            let mut count = 0;
            while output.next().await.is_some() {
                count += 1;
            }
            count
        };
        let stop = CancellationToken::new();
        tokio::join!(scrape(source, task, &stop), count)
    }

    #[tokio::test]
    async fn a_location_beyond_the_limit_fails_unless_the_run_set_it() {
        let own = ScrapeRequest { limit: 5, parameters: json!({ "limit": 5 }), ..request() };
        assert_eq!(run(&Endless::default(), own).await, (Ok(()), 5));
        let (result, count) =
            run(&Endless::default(), ScrapeRequest { limit: 5, ..request() }).await;
        assert_eq!(count, 5);
        let error = result.unwrap_err();
        assert!(error.to_string().starts_with("has more than 5 listings"), "{error}");
        assert!(matches!(error, SourceError::Failed { permanent: true, .. }));
    }

    #[tokio::test(start_paused = true)]
    async fn the_timeout_stops_a_source_that_waits() {
        let start = Instant::now();
        let source = Endless { waits: true, ..Endless::default() };
        let (result, _) = run(&source, request()).await;
        let after = Duration::from_mins(10);
        assert_eq!(result, Err(SourceError::TimedOut { after }));
        assert_eq!(start.elapsed().as_secs(), after.as_secs());
        assert!(!source.wound_down.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_that_a_push_waits_counts() {
        let (task, _unread) = Task::new(request());
        let result = scrape(&Endless::default(), task, &CancellationToken::new()).await;
        assert!(matches!(result, Err(SourceError::TimedOut { .. })), "{result:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_with_a_wind_down_may_clean_up() {
        let wind_down = Duration::from_secs(2);
        let source = Endless { waits: true, wind_down, ..Endless::default() };
        let (task, _output) = Task::new(request());
        let stop = CancellationToken::new();
        let (result, ()) = tokio::join!(scrape(&source, task, &stop), async { stop.cancel() });
        assert_eq!(result, Err(SourceError::Stopped));
        assert!(source.wound_down.load(Ordering::Relaxed));
    }

    /// Logs a secret, and then fails or panics with it.
    struct Talkative {
        panics: bool,
    }

    #[async_trait]
    impl Source for Talkative {
        fn secrets(&self) -> Secrets {
            let secrets = Secrets::default();
            secrets.remember("hush-hush");
            secrets
        }

        async fn scrape(&self, task: &Task) -> Result<(), SourceError> {
            task.log("the key is hush-hush");
            assert!(!self.panics, "no hush-hush");
            Err(SourceError::broken("hush-hush is wrong"))
        }
    }

    #[tokio::test]
    async fn a_panic_fails_the_location_and_secrets_are_hidden() {
        for (panics, expected) in
            [(true, "the source panicked: no ***"), (false, "the source cannot work: *** is wrong")]
        {
            let (task, mut output) = Task::new(request());
            let result = scrape(&Talkative { panics }, task, &CancellationToken::new()).await;
            assert_eq!(result.unwrap_err().to_string(), expected);
            let Some(Found::Line(line)) = output.next().await else { panic!("no line") };
            assert_eq!(line.text, "the key is ***");
        }
    }

    #[tokio::test]
    async fn a_source_stops_when_nobody_receives() {
        let (task, output) = Task::new(request());
        drop(output);
        let source = Endless { waits: true, ..Endless::default() };
        let result = scrape(&source, task, &CancellationToken::new()).await;
        assert_eq!(result, Err(SourceError::Stopped));
    }
}
