//! A policy for people.

use windrow_client::proto;

/// What is set, a line for each field.
pub(crate) fn policy_lines(policy: Option<&proto::RunPolicy>) -> Vec<(&'static str, String)> {
    let Some(p) = policy else { return Vec::new() };
    let length = |length: &Option<prost_types::Duration>| {
        length.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    let number = |number: Option<f64>| number.map(|n| n.to_string()).unwrap_or_default();
    vec![
        ("Max attempts", p.max_attempts.map(|n| n.to_string()).unwrap_or_default()),
        ("Initial backoff", length(&p.initial_backoff)),
        ("Backoff factor", number(p.backoff_factor)),
        ("Max backoff", length(&p.max_backoff)),
        ("Backoff jitter", number(p.backoff_jitter)),
        ("Attempt timeout", length(&p.attempt_timeout)),
        ("Run timeout", length(&p.run_timeout)),
        ("Lease duration", length(&p.lease_duration)),
    ]
}
