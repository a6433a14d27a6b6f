//! Pauses between the requests for one page: how long a service that fails is waited for.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use crate::sources::SourceError;

/// Requests for a page before its location fails, for faults that do not name a busy service.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause unless the service requests a longer one. Jitter may double it.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// A transient failure of a request.
#[derive(Debug)]
pub(super) struct Transient {
    pub(super) reason: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// The service is up and asks for patience: it is waited for until the time of the location is over.
    Busy { retry_after: Option<Duration> },
    /// The service or the network does not work: a few tries.
    Broken,
}

/// The pauses of one page.
pub(super) struct Patience {
    /// The time of the location ends here.
    deadline: Instant,
    began: Instant,
    tries: u32,
    pauses: ExponentialBackoff,
}

impl Patience {
    pub(super) fn until(deadline: Instant) -> Self {
        let builder = ExponentialBuilder::new().with_min_delay(FIRST_PAUSE).with_jitter();
        let pauses = builder.with_max_delay(LONGEST_PAUSE).without_max_times().build();
        Self { deadline, began: Instant::now(), tries: 0, pauses }
    }

    /// The pause before the next request; an error if there is none.
    ///
    /// A requested pause is a minimum: a service that always requests a second is not asked every second.
    pub(super) fn pause(&mut self, fault: &Transient) -> Result<Duration, SourceError> {
        self.tries = self.tries.saturating_add(1);
        let (reason, tries) = (&fault.reason, self.tries);
        let own = self.pauses.next().unwrap_or(LONGEST_PAUSE);
        let left = self.deadline.saturating_duration_since(Instant::now());
        match fault.kind {
            Kind::Busy { retry_after: Some(requested) } if requested >= left => {
                let (requested, left) = (shown(requested), shown(left));
                Err(SourceError::failed(format!(
                    "{reason}, and requests a pause of {requested}; the location has {left} left"
                )))
            }
            Kind::Busy { retry_after } if own < left => {
                Ok(own.max(retry_after.unwrap_or_default()))
            }
            Kind::Broken if tries < TRIES && own < left => Ok(own),
            Kind::Busy { .. } | Kind::Broken => {
                let time = shown(self.began.elapsed());
                Err(SourceError::failed(format!("{reason} ({tries} tries in {time})")))
            }
        }
    }
}

/// In tenths of a second below a minute, else in seconds.
pub(super) fn shown(duration: Duration) -> humantime::FormattedDuration {
    let step = if duration < Duration::from_mins(1) { 100 } else { 1_000 };
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    humantime::format_duration(Duration::from_millis(millis.div_ceil(step).saturating_mul(step)))
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn busy(seconds: Option<u64>) -> Transient {
        let retry_after = seconds.map(Duration::from_secs);
        Transient { reason: "429".to_owned(), kind: Kind::Busy { retry_after } }
    }

    /// The pauses until the error, and the error.
    async fn wait_out(fault: &Transient, time: Duration) -> (Vec<Duration>, String) {
        let mut patience = Patience::until(Instant::now() + time);
        let mut pauses = Vec::new();
        loop {
            match patience.pause(fault) {
                Ok(pause) => {
                    pauses.push(pause);
                    advance(pause).await;
                }
                Err(error) => return (pauses, error.to_string()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_service_is_waited_for_until_the_time_is_over() {
        for fault in [busy(None), busy(Some(1))] {
            let (pauses, error) = wait_out(&fault, Duration::from_mins(10)).await;
            let waited: Duration = pauses.iter().sum();
            assert!(waited > Duration::from_mins(9), "{waited:?}");
            assert!((15..60).contains(&pauses.len()), "capped and spread: {pauses:?}");
            assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE * 2), "{pauses:?}");
            assert!(error.starts_with("429 (") && error.contains(" tries in 9m"), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_requested_pause_is_kept_unless_it_is_longer_than_the_time() {
        let mut patience = Patience::until(Instant::now() + Duration::from_mins(10));
        let pause = patience.pause(&busy(Some(300))).unwrap();
        assert_eq!(pause, Duration::from_mins(5));
        let error = patience.pause(&busy(Some(3_600))).unwrap_err().to_string();
        assert_eq!(error, "429, and requests a pause of 1h; the location has 10m left");
        assert!(patience.pause(&busy(Some(u64::MAX))).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_service_gets_a_few_tries() {
        let fault = Transient { reason: "gone".to_owned(), kind: Kind::Broken };
        let (pauses, error) = wait_out(&fault, Duration::from_mins(10)).await;
        assert_eq!(pauses.len(), 4);
        assert!(error.starts_with("gone (5 tries in "), "{error}");
    }
}
