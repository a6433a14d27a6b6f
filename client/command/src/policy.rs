//! How stubbornly runs are tried, as flags: the same ones for jobs and one-off runs.

use clap::Args;
use prost_types::Duration;
use windrow_client::proto;

use crate::parameters::given;
use crate::values::duration;

/// Every flag is optional; the server has defaults and checks the bounds.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Policy")]
pub(crate) struct PolicyArgs {
    /// Attempts before a run fails for good, 1 to 20; 3 unless given.
    #[arg(long, value_name = "COUNT")]
    max_attempts: Option<i32>,
    /// Pause after the first failed attempt, for example 30s; 1s unless given.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    initial_backoff: Option<Duration>,
    /// By how much each further pause is longer, 1 to 10; 2 unless given.
    #[arg(long, value_name = "FACTOR")]
    backoff_factor: Option<f64>,
    /// The longest pause; 1m unless given.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    max_backoff: Option<Duration>,
    /// The part of a pause that is random, 0 to 1; 0.2 unless given.
    #[arg(long, value_name = "PART")]
    backoff_jitter: Option<f64>,
    /// The longest that one attempt may take, for example 30m; 6h unless given.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    attempt_timeout: Option<Duration>,
    /// The longest from when a run may begin to its end, attempts and pauses included; no limit unless given.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    run_timeout: Option<Duration>,
    /// How long a worker may be silent before its attempt is lost; as the server is set unless given.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    lease_duration: Option<Duration>,
}

impl PolicyArgs {
    /// Absent if no flag was given.
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

    /// The fields that were given, as paths of an update mask.
    pub(crate) fn mask(&self) -> Vec<&'static str> {
        given([
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
