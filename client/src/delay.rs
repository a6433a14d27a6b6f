//! Reports of calls that take long, for programs with a person in front of them.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::Error;

/// Time after which a person starts to wonder.
const REPORT_AFTER: Duration = Duration::from_secs(1);

/// Something that takes more than a second; see [`crate::ClientBuilder::on_delay`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Delay<'a> {
    /// The endpoint in use, as given.
    pub endpoint: &'a str,
    /// The failure that is being retried; `None` if there was no answer yet.
    pub error: Option<&'a Error>,
}

type Report = dyn Fn(&Delay<'_>) + Send + Sync;

/// The caller's interest in delays.
#[derive(Clone, Default)]
pub(crate) struct OnDelay(Option<Arc<Report>>);

/// A wait, with the failures that prolong it.
#[derive(Debug)]
pub(crate) struct Wait {
    on_delay: OnDelay,
    since: Instant,
    error: Option<Error>,
    is_reported: bool,
}

impl OnDelay {
    pub(crate) fn new(report: impl Fn(&Delay<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(report)))
    }

    pub(crate) fn wait(&self) -> Wait {
        Wait { on_delay: self.clone(), since: Instant::now(), error: None, is_reported: false }
    }
}

impl fmt::Debug for OnDelay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "OnDelay(_)" } else { "OnDelay" })
    }
}

impl Wait {
    /// Awaits the work, and reports it if the wait becomes too long.
    pub(crate) async fn during<T>(&mut self, endpoint: &str, work: impl Future<Output = T>) -> T {
        if self.is_reported || self.on_delay.0.is_none() {
            return work.await;
        }
        let mut work = pin!(work);
        if let Ok(done) = timeout_at(self.since + REPORT_AFTER, &mut work).await {
            return done;
        }
        self.report(endpoint);
        work.await
    }

    /// The work failed and will be repeated. Reported at once if a report is out that gave another reason.
    pub(crate) fn failed(&mut self, error: Error, endpoint: &str) {
        let text = error.to_string();
        let is_known = self.error.as_ref().is_some_and(|last| last.to_string() == text);
        self.error = Some(error);
        if self.is_reported && !is_known {
            self.report(endpoint);
        }
    }

    fn report(&mut self, endpoint: &str) {
        self.is_reported = true;
        if let Some(report) = &self.on_delay.0 {
            report(&Delay { endpoint, error: self.error.as_ref() });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::sleep;

    use super::*;
    use crate::{Code, Status};

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_is_reported_once_and_again_for_another_reason() {
        let reports = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&reports);
        let on_delay = OnDelay::new(move |delay| {
            let reason = delay.error.map(ToString::to_string).unwrap_or_default();
            all.lock().unwrap().push(format!("{}: {reason}", delay.endpoint));
        });
        let error = |text: &str| Error::Status(Status::new(Code::Unavailable, text));
        let second = Duration::from_secs(1);

        on_delay.wait().during("brief", sleep(second / 2)).await;
        let mut wait = on_delay.wait();
        wait.during("a", sleep(second / 2)).await;
        wait.failed(error("down"), "a");
        wait.during("a", sleep(second)).await;
        wait.failed(error("down"), "a");
        wait.during("a", sleep(second)).await;
        wait.failed(error("full"), "b");

        assert_eq!(*reports.lock().unwrap(), ["a: down", "b: full"]);
    }
}
