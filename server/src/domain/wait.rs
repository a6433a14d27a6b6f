//! What a pending run waits for.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

use super::id::{RunId, ScheduledJobId};

/// What a pending run waits for. The text is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PendingReason {
    /// It is to begin later, or is between two attempts.
    Time { until: DateTime<Utc>, attempts: i32 },
    /// No worker that serves its source is connected.
    Worker { source: String },
    /// Its source has its limit.
    SourceLimit {
        source: String,
        /// How many runs of it are running.
        limit: i64,
    },
    /// Its scheduled job has its limit.
    JobLimit {
        job: ScheduledJobId,
        /// How many runs of it are running.
        limit: i64,
    },
    /// The run of an earlier tick, by the overlap policy.
    EarlierRun { run: RunId },
    /// The workers are busy with others.
    Turn { source: String },
}

impl fmt::Display for PendingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time { until, attempts } => {
                let until = until.to_rfc3339_opts(SecondsFormat::Secs, true);
                match attempts {
                    0 => write!(f, "its time, {until}"),
                    _ => write!(f, "attempt {} at {until}", attempts + 1),
                }
            }
            Self::Worker { source } => {
                write!(f, "a worker for source '{source}': none is connected")
            }
            Self::SourceLimit { source, limit } => {
                write!(f, "source '{source}', of which at most {limit} {}", are_running(*limit))
            }
            Self::JobLimit { job, limit } => {
                write!(f, "scheduled job {job}, of which at most {limit} {}", are_running(*limit))
            }
            Self::EarlierRun { run } => write!(f, "run {run} of an earlier tick to end"),
            Self::Turn { source } => {
                write!(f, "its turn: the workers for source '{source}' are busy")
            }
        }
    }
}

fn are_running(limit: i64) -> &'static str {
    if limit == 1 { "run may be running" } else { "runs may be running" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_phrase() {
        let until = DateTime::from_timestamp(1_800_000_000, 5).unwrap();
        let source = "mls".to_owned();
        let job = ScheduledJobId::parse("daily").unwrap();
        for (wait, text) in [
            (PendingReason::Time { until, attempts: 0 }, "its time, 2027-01-15T08:00:00Z"),
            (PendingReason::Time { until, attempts: 2 }, "attempt 3 at 2027-01-15T08:00:00Z"),
            (
                PendingReason::SourceLimit { source, limit: 1 },
                "source 'mls', of which at most 1 run may be running",
            ),
            (
                PendingReason::JobLimit { job, limit: 2 },
                "scheduled job daily, of which at most 2 runs may be running",
            ),
        ] {
            assert_eq!(wait.to_string(), text);
        }
    }
}
