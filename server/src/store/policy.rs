//! Policies as JSON: the protobuf JSON form with the fields' own names.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::parameters::{duration, duration_text};
use crate::domain::policy::RunPolicy;

/// A policy in its JSON form.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct PolicyRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial_backoff: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff_factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_backoff: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff_jitter: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_duration: Option<String>,
}

impl From<&RunPolicy> for PolicyRow {
    fn from(policy: &RunPolicy) -> Self {
        let text = |length: Option<Duration>| length.map(duration_text);
        Self {
            max_attempts: policy.max_attempts,
            initial_backoff: text(policy.initial_backoff),
            backoff_factor: policy.backoff_factor,
            max_backoff: text(policy.max_backoff),
            backoff_jitter: policy.backoff_jitter,
            attempt_timeout: text(policy.attempt_timeout),
            run_timeout: text(policy.run_timeout),
            lease_duration: text(policy.lease_duration),
        }
    }
}

impl TryFrom<PolicyRow> for RunPolicy {
    type Error = String;

    fn try_from(row: PolicyRow) -> Result<Self, String> {
        let length = |text: Option<String>| text.as_deref().map(duration).transpose();
        Ok(Self {
            max_attempts: row.max_attempts,
            initial_backoff: length(row.initial_backoff)?,
            backoff_factor: row.backoff_factor,
            max_backoff: length(row.max_backoff)?,
            backoff_jitter: row.backoff_jitter,
            attempt_timeout: length(row.attempt_timeout)?,
            run_timeout: length(row.run_timeout)?,
            lease_duration: length(row.lease_duration)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_survive_the_round_trip() {
        let lease_duration = Some(Duration::from_millis(2_500));
        let whole = RunPolicy { lease_duration, ..RunPolicy::default().complete() };
        for policy in [RunPolicy::default(), whole] {
            let text = serde_json::to_string(&PolicyRow::from(&policy)).unwrap();
            let row: PolicyRow = serde_json::from_str(&text).unwrap();
            assert_eq!(RunPolicy::try_from(row).unwrap(), policy);
        }
    }
}
