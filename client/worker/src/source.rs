//! Sources: the adapters that scrape.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::secrets::Secrets;
use crate::task::Task;

/// Timeout of a location unless a source sets its own.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(10);

/// An adapter that scrapes one location at a time. Several calls may run at once.
///
/// The worker enforces the timeout and stops the source when the run is cancelled, the lease is lost or the
/// worker shuts down. It does so by dropping the future of [`Source::scrape`]; a source that has to clean up
/// asynchronously sets [`Source::wind_down`].
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Maximum time for one location, including the time that [`Task::push`] waits. Enforced by the worker.
    fn timeout(&self) -> Duration {
        DEFAULT_TIMEOUT
    }

    /// Time between [`Task::cancelled`] and the drop of the future. Zero drops it at once.
    fn wind_down(&self) -> Duration {
        Duration::ZERO
    }

    /// For sources that can list changes since a time: one in this many runs of a scheduled job reads
    /// everything, the others only changes. `None`: every run reads everything.
    fn full_every(&self) -> Option<u32> {
        None
    }

    /// The secrets that this source uses. Its log lines and errors never show them.
    fn secrets(&self) -> Secrets {
        Secrets::default()
    }

    /// Scrapes one location: [pushes](Task::push) every property and returns when there are no more.
    ///
    /// Properties pushed before an error are kept.
    async fn scrape(&self, task: &Task) -> Result<(), SourceError>;
}

/// The reason why a location is not complete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// This location failed; others may work.
    #[error("{reason}")]
    Failed {
        /// The reason, for the user.
        reason: String,
        /// Whether another attempt would fail as well.
        permanent: bool,
    },
    /// The source cannot work: every location will fail until an operator corrects its settings.
    #[error("the source cannot work: {reason}")]
    Broken {
        /// The reason, for the operator.
        reason: String,
    },
    /// The location exceeded [`Source::timeout`].
    #[error("timed out after {}", humantime::format_duration(*after))]
    TimedOut {
        /// The timeout of the source.
        after: Duration,
    },
    /// The worker stopped the task.
    #[error("stopped")]
    Stopped,
}

impl SourceError {
    /// A failure of this location that another attempt may not have. Fits `map_err`.
    pub fn failed(reason: impl fmt::Display) -> Self {
        Self::Failed { reason: reason.to_string(), permanent: false }
    }

    /// A failure of this location that every attempt would have.
    pub fn permanent(reason: impl fmt::Display) -> Self {
        Self::Failed { reason: reason.to_string(), permanent: true }
    }

    /// A source that cannot work until an operator corrects its settings.
    pub fn broken(reason: impl fmt::Display) -> Self {
        Self::Broken { reason: reason.to_string() }
    }

    /// The error without these secrets.
    pub(crate) fn hiding(self, secrets: &Secrets) -> Self {
        let hide = |reason: String| secrets.hide(&reason).into_owned();
        match self {
            Self::Failed { reason, permanent } => Self::Failed { reason: hide(reason), permanent },
            Self::Broken { reason } => Self::Broken { reason: hide(reason) },
            Self::TimedOut { .. } | Self::Stopped => self,
        }
    }
}
