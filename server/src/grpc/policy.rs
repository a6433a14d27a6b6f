//! Policies and waits between proto and domain.

use prost_types::Duration as ProtoDuration;
use windrow::v1 as proto;

use super::convert::{duration, to_duration};
use super::mask::{Field, field};
use crate::app::AppError;
use crate::domain::policy::RunPolicy;
use crate::domain::wait::PendingReason;

/// What an update mask may name of a policy.
pub(super) const FIELDS: [Field; 8] = [
    field(
        "policy.max_attempts",
        |job| job.policy.as_ref().is_some_and(|p| p.max_attempts.is_some()),
        |to, from| to.policy.max_attempts = from.policy.max_attempts,
    ),
    field(
        "policy.initial_backoff",
        |job| job.policy.as_ref().is_some_and(|p| p.initial_backoff.is_some()),
        |to, from| to.policy.initial_backoff = from.policy.initial_backoff,
    ),
    field(
        "policy.backoff_factor",
        |job| job.policy.as_ref().is_some_and(|p| p.backoff_factor.is_some()),
        |to, from| to.policy.backoff_factor = from.policy.backoff_factor,
    ),
    field(
        "policy.max_backoff",
        |job| job.policy.as_ref().is_some_and(|p| p.max_backoff.is_some()),
        |to, from| to.policy.max_backoff = from.policy.max_backoff,
    ),
    field(
        "policy.backoff_jitter",
        |job| job.policy.as_ref().is_some_and(|p| p.backoff_jitter.is_some()),
        |to, from| to.policy.backoff_jitter = from.policy.backoff_jitter,
    ),
    field(
        "policy.attempt_timeout",
        |job| job.policy.as_ref().is_some_and(|p| p.attempt_timeout.is_some()),
        |to, from| to.policy.attempt_timeout = from.policy.attempt_timeout,
    ),
    field(
        "policy.run_timeout",
        |job| job.policy.as_ref().is_some_and(|p| p.run_timeout.is_some()),
        |to, from| to.policy.run_timeout = from.policy.run_timeout,
    ),
    field(
        "policy.lease_duration",
        |job| job.policy.as_ref().is_some_and(|p| p.lease_duration.is_some()),
        |to, from| to.policy.lease_duration = from.policy.lease_duration,
    ),
];

/// A policy, empty if absent; paths are relative to it.
pub(super) fn policy(policy: Option<proto::RunPolicy>) -> Result<RunPolicy, AppError> {
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

/// A policy for a response; absent if nothing is set.
pub(super) fn to_policy(policy: &RunPolicy) -> Option<proto::RunPolicy> {
    let length = |length: Option<std::time::Duration>| -> Option<ProtoDuration> {
        length.and_then(to_duration)
    };
    (*policy != RunPolicy::default()).then(|| proto::RunPolicy {
        max_attempts: policy.max_attempts,
        initial_backoff: length(policy.initial_backoff),
        backoff_factor: policy.backoff_factor,
        max_backoff: length(policy.max_backoff),
        backoff_jitter: policy.backoff_jitter,
        attempt_timeout: length(policy.attempt_timeout),
        run_timeout: length(policy.run_timeout),
        lease_duration: length(policy.lease_duration),
    })
}

/// What a run waits for, for a response.
pub(super) fn to_pending_reason(wait: &PendingReason) -> proto::PendingReason {
    let code = match wait {
        PendingReason::Time { .. } => proto::PendingReasonCode::NotYetAvailable,
        PendingReason::Worker { .. } => proto::PendingReasonCode::NoWorker,
        PendingReason::SourceLimit { .. } => proto::PendingReasonCode::SourceLimit,
        PendingReason::JobLimit { .. } => proto::PendingReasonCode::JobLimit,
        PendingReason::Turn { .. } => proto::PendingReasonCode::WorkersBusy,
        PendingReason::EarlierRun { .. } => proto::PendingReasonCode::EarlierRun,
    };
    proto::PendingReason { code: code.into(), message: wait.to_string() }
}
