//! Run policies.

use windrow::v1 as proto;

use super::primitives::{duration, to_duration};
use crate::app::AppError;
use crate::domain::policy::RunPolicy;

/// A policy, empty if absent. Paths are relative to it.
pub(in crate::grpc) fn policy(policy: Option<proto::RunPolicy>) -> Result<RunPolicy, AppError> {
    let policy = policy.unwrap_or_default();
    Ok(RunPolicy {
        max_attempts: policy.max_attempts,
        initial_backoff: duration("initial_backoff", policy.initial_backoff)?,
        backoff_factor: policy.backoff_factor,
        max_backoff: duration("max_backoff", policy.max_backoff)?,
        backoff_jitter: policy.backoff_jitter,
        attempt_timeout: duration("attempt_timeout", policy.attempt_timeout)?,
        run_timeout: duration("run_timeout", policy.run_timeout)?,
        lease_duration: duration("lease_duration", policy.lease_duration)?,
    })
}

/// Absent if no field is set.
pub(in crate::grpc) fn to_policy(policy: &RunPolicy) -> Option<proto::RunPolicy> {
    (*policy != RunPolicy::default()).then(|| proto::RunPolicy {
        max_attempts: policy.max_attempts,
        initial_backoff: policy.initial_backoff.and_then(to_duration),
        backoff_factor: policy.backoff_factor,
        max_backoff: policy.max_backoff.and_then(to_duration),
        backoff_jitter: policy.backoff_jitter,
        attempt_timeout: policy.attempt_timeout.and_then(to_duration),
        run_timeout: policy.run_timeout.and_then(to_duration),
        lease_duration: policy.lease_duration.and_then(to_duration),
    })
}
