//! Statistics of a scheduled job's runs in a time window.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{App, AppError};
use crate::domain::id::ScheduledJobId;
use crate::store::statistics::{self, EndedRuns};
use crate::store::{runs, scheduled_jobs};

/// Window of a request without one.
const DEFAULT_WINDOW: Duration = Duration::from_hours(30 * 24);
/// A longer window would read too many runs.
const MAX_WINDOW: Duration = Duration::from_hours(366 * 24);

/// Statistics of a job's runs in a window that ends now.
#[derive(Clone, Debug, PartialEq)]
pub struct JobStatistics {
    /// Start of the window.
    pub since: DateTime<Utc>,
    /// Runs that ended in the window.
    pub ended: EndedRuns,
    /// Number of runs that have not ended.
    pub active: i64,
    /// End of the last completed run, even if it is before the window.
    pub last_success_at: Option<DateTime<Utc>>,
}

impl JobStatistics {
    /// The share of completed runs among those that completed or failed. Cancelled runs do not count.
    pub fn success_rate(&self) -> Option<f64> {
        let whole = self.ended.completed + self.ended.failed;
        // Counts of a window are far below 2^32.
        let count = |count| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        (whole > 0).then(|| count(self.ended.completed) / count(whole))
    }
}

impl App {
    /// Statistics of the runs that ended in the last `window`, 30 days if absent.
    pub async fn scheduled_job_statistics(
        &self,
        id: &ScheduledJobId,
        window: Option<Duration>,
    ) -> Result<JobStatistics, AppError> {
        let window = window.unwrap_or(DEFAULT_WINDOW);
        if !(Duration::from_secs(1)..=MAX_WINDOW).contains(&window) {
            return Err(AppError::invalid("window", "must be 1 second to 366 days"));
        }
        let since = self.now() - TimeDelta::from_std(window).unwrap_or(TimeDelta::MAX);
        let mut tx = self.begin_snapshot().await?;
        if scheduled_jobs::scheduled_job_get(&mut tx, id).await?.is_none() {
            return Err(AppError::ScheduledJobNotFound(id.clone()));
        }
        Ok(JobStatistics {
            since,
            ended: statistics::runs_ended_since(&mut tx, id, since).await?,
            active: runs::runs_count_active(&mut tx, id).await?,
            last_success_at: statistics::last_success(&mut tx, id).await?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_success_rate_leaves_cancelled_runs_out() {
        let rate = |completed, failed, cancelled| {
            let ended = EndedRuns { completed, failed, cancelled, ..EndedRuns::default() };
            let since = DateTime::UNIX_EPOCH;
            JobStatistics { since, ended, active: 0, last_success_at: None }.success_rate()
        };
        assert_eq!(rate(3, 1, 5), Some(0.75));
        assert_eq!(rate(0, 2, 0), Some(0.0));
        assert_eq!(rate(0, 0, 5), None);
    }
}
