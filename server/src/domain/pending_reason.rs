//! Reason why a run is pending.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

use super::id::{RunId, ScheduledJobId};

/// Reason why a run is pending. Its text is for people and completes "waiting for".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PendingReason {
    /// The run is delayed or between two attempts.
    Time { until: DateTime<Utc>, attempts: i32 },
    /// No connected worker serves its source.
    Worker { source: String },
    /// The limit of concurrent runs of its source is reached.
    SourceLimit { source: String, limit: i64 },
    /// The limit of concurrent runs of its scheduled job is reached.
    JobLimit { job: ScheduledJobId, limit: i64 },
    /// The overlap policy makes it wait for the run of an earlier tick.
    EarlierRun { run: RunId },
    /// All workers of its source are busy.
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
    fn each_reason_is_a_phrase() {
        let until = DateTime::from_timestamp(1_800_000_000, 5).unwrap();
        let source = "mls".to_owned();
        let job = ScheduledJobId::parse("daily").unwrap();
        for (reason, text) in [
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
            assert_eq!(reason.to_string(), text);
        }
    }
}
