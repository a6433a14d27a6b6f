//! Retry and timeout policy as flags, for jobs and one-off runs.

use clap::Args;
use prost_types::Duration;
use windrow_client::proto;

use super::{duration, integer, number, set_paths};

/// All flags are optional; the server has the defaults and checks the limits.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Retries and timeouts")]
pub(crate) struct PolicyFlags {
    /// Maximum number of attempts per run, 1 to 20 [default: 3].
    #[arg(long, value_name = "N", value_parser = integer::<i32>)]
    max_attempts: Option<i32>,
    /// Delay after the first failed attempt [default: 1s].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    initial_backoff: Option<Duration>,
    /// Multiplier of the delay after each further failed attempt, 1 to 10 [default: 2].
    #[arg(long, value_name = "FACTOR", value_parser = number)]
    backoff_factor: Option<f64>,
    /// Maximum delay between two attempts [default: 1m].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    max_backoff: Option<Duration>,
    /// Random fraction of each delay, 0 to 1 [default: 0.2].
    #[arg(long, value_name = "FRACTION", value_parser = number)]
    backoff_jitter: Option<f64>,
    /// Timeout of one attempt, for example 30m [default: 6h].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    attempt_timeout: Option<Duration>,
    /// Timeout of the run, including all attempts and delays [default: none].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    run_timeout: Option<Duration>,
    /// Time without a heartbeat after which a worker loses its lease [default: the server's].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    lease_duration: Option<Duration>,
}

impl PolicyFlags {
    /// `None` if no flag was given.
    pub(crate) fn into_proto(self) -> Option<proto::RunPolicy> {
        let policy = proto::RunPolicy {
            max_attempts: self.max_attempts,
            initial_backoff: self.initial_backoff,
            backoff_factor: self.backoff_factor,
            max_backoff: self.max_backoff,
            backoff_jitter: self.backoff_jitter,
            attempt_timeout: self.attempt_timeout,
            run_timeout: self.run_timeout,
            lease_duration: self.lease_duration,
        };
        (policy != proto::RunPolicy::default()).then_some(policy)
    }

    pub(super) fn paths(&self) -> Vec<&'static str> {
        set_paths([
            ("policy.max_attempts", self.max_attempts.is_some()),
            ("policy.initial_backoff", self.initial_backoff.is_some()),
            ("policy.backoff_factor", self.backoff_factor.is_some()),
            ("policy.max_backoff", self.max_backoff.is_some()),
            ("policy.backoff_jitter", self.backoff_jitter.is_some()),
            ("policy.attempt_timeout", self.attempt_timeout.is_some()),
            ("policy.run_timeout", self.run_timeout.is_some()),
            ("policy.lease_duration", self.lease_duration.is_some()),
        ])
    }
}
