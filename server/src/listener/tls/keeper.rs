//! Reads the files of TLS again when they change, and warns before the certificate ends.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::files::{Files, TlsError};
use super::{Loaded, Tls, files};
use crate::clock::SystemClock;

/// Pause between two checks.
const INTERVAL: Duration = Duration::from_secs(2);
/// A certificate is renewed earlier.
const WARNING: TimeDelta = TimeDelta::days(14);
/// Pause between two warnings.
const REMINDER: Duration = Duration::from_hours(24);

/// The state between two checks.
#[derive(Default)]
struct Failure {
    /// Of the last check.
    last: Option<TlsError>,
    is_logged: bool,
}

/// What started a check.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trigger {
    Time,
    Operator,
}

impl Tls {
    /// Keeps the certificate up to date until the stop.
    pub(crate) async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let mut failure = Failure::default();
        let mut next_warning = Instant::now();
        loop {
            if Instant::now() >= next_warning && self.warn_of_end() {
                next_warning = Instant::now() + REMINDER;
            }
            let trigger = tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(INTERVAL) => Trigger::Time,
                () = self.asked.notified() => Trigger::Operator,
            };
            self.check(&mut failure, trigger).await;
        }
    }

    /// Returns whether it warned.
    fn warn_of_end(&self) -> bool {
        let left = self.not_after() - SystemClock::uncorrected();
        if left > WARNING {
            return false;
        }
        let not_after = self.not_after().format("%F %T UTC");
        if left > TimeDelta::zero() {
            let days = left.num_days();
            warn!("The TLS certificate ends in {days} days, at {not_after}; renew it");
        } else {
            error!("The TLS certificate has ended at {not_after}, so clients refuse it; renew it");
        }
        true
    }

    async fn check(&self, failure: &mut Failure, trigger: Trigger) {
        match self.load_changed().await {
            Ok(changed) => {
                if !changed && failure.is_logged {
                    info!("The files of the TLS certificate in use are there again");
                }
                *failure = Failure::default();
            }
            Err(error) => {
                self.failed_reloads.fetch_add(1, Ordering::Relaxed);
                let is_known = failure.last.as_ref() == Some(&error);
                // The files change one after the other, so the first failure may be between two of them.
                let is_due = is_known || trigger == Trigger::Operator;
                let is_logged = is_known && failure.is_logged;
                if is_due && !is_logged {
                    error!("Kept the TLS certificate in use: {error}");
                }
                *failure = Failure { last: Some(error), is_logged: is_due || is_logged };
            }
        }
    }

    /// Returns whether something has changed.
    async fn load_changed(&self) -> Result<bool, TlsError> {
        let Some(files) = Files::read(&self.settings).await? else { return Ok(false) };
        if self.loaded().files == files {
            return Ok(false);
        }
        let loaded = Loaded::new(files, &self.settings)?;
        files::warn_of_readers(&self.settings).await;
        loaded.announce();
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded);
        Ok(true)
    }
}
