//! Update masks: the settings that an update changes.

use prost_types::FieldMask;
use windrow::v1 as proto;

use crate::app::AppError;
use crate::domain::scheduled_job::SettingsDraft;

/// Copies one field to the first draft from the second.
type Copy = fn(&mut SettingsDraft, &SettingsDraft);

struct Field {
    path: &'static str,
    is_set: fn(&proto::ScheduledJob) -> bool,
    copy: Copy,
}

const fn field(path: &'static str, is_set: fn(&proto::ScheduledJob) -> bool, copy: Copy) -> Field {
    Field { path, is_set, copy }
}

/// Every path of a single field. `policy`, `catch_up`, `parameters` and `*` stand for several of them.
const FIELDS: [Field; 28] = [
    field("name", |job| !job.name.is_empty(), |to, from| to.name.clone_from(&from.name)),
    field(
        "cron_expression",
        |job| !job.cron_expression.is_empty(),
        |to, from| to.cron_expression.clone_from(&from.cron_expression),
    ),
    field(
        "timezone",
        |job| !job.timezone.is_empty(),
        |to, from| to.timezone.clone_from(&from.timezone),
    ),
    field("priority", |job| job.priority != 0, |to, from| to.priority = from.priority),
    field("labels", |job| !job.labels.is_empty(), |to, from| to.labels.clone_from(&from.labels)),
    field(
        "max_concurrent_runs",
        |job| job.max_concurrent_runs != 0,
        |to, from| to.max_concurrent_runs = from.max_concurrent_runs,
    ),
    field(
        "catch_up.mode",
        |job| catch_up(job).is_some_and(|c| c.mode != 0),
        |to, from| to.ticks.catch_up.mode = from.ticks.catch_up.mode,
    ),
    field(
        "catch_up.limit",
        |job| catch_up(job).is_some_and(|c| c.limit.is_some()),
        |to, from| to.ticks.catch_up.limit = from.ticks.catch_up.limit,
    ),
    field(
        "catch_up.window",
        |job| catch_up(job).is_some_and(|c| c.window.is_some()),
        |to, from| to.ticks.catch_up.window = from.ticks.catch_up.window,
    ),
    field(
        "catch_up.grace",
        |job| catch_up(job).is_some_and(|c| c.grace.is_some()),
        |to, from| to.ticks.catch_up.grace = from.ticks.catch_up.grace,
    ),
    field("overlap", |job| job.overlap != 0, |to, from| to.ticks.overlap = from.ticks.overlap),
    field("jitter", |job| job.jitter.is_some(), |to, from| to.ticks.jitter = from.ticks.jitter),
    field(
        "parameters.locations",
        |job| parameters(job).is_some_and(|p| !p.locations.is_empty()),
        |to, from| to.parameters.locations.clone_from(&from.parameters.locations),
    ),
    field(
        "parameters.listing_types",
        |job| parameters(job).is_some_and(|p| !p.listing_types.is_empty()),
        |to, from| to.parameters.listing_types.clone_from(&from.parameters.listing_types),
    ),
    field(
        "parameters.past_days",
        |job| parameters(job).is_some_and(|p| p.past_days.is_some()),
        |to, from| to.parameters.past_days = from.parameters.past_days,
    ),
    field(
        "parameters.radius",
        |job| parameters(job).is_some_and(|p| p.radius.is_some()),
        |to, from| to.parameters.radius = from.parameters.radius,
    ),
    field(
        "parameters.limit",
        |job| parameters(job).is_some_and(|p| p.limit.is_some()),
        |to, from| to.parameters.limit = from.parameters.limit,
    ),
    field(
        "parameters.request_delay",
        |job| parameters(job).is_some_and(|p| p.request_delay.is_some()),
        |to, from| to.parameters.request_delay = from.parameters.request_delay,
    ),
    field(
        "parameters.source",
        |job| parameters(job).is_some_and(|p| p.source.is_some()),
        |to, from| to.parameters.source.clone_from(&from.parameters.source),
    ),
    field(
        "parameters.full_scrape",
        |job| parameters(job).is_some_and(|p| p.full_scrape.is_some()),
        |to, from| to.parameters.full_scrape = from.parameters.full_scrape,
    ),
    field(
        "policy.max_attempts",
        |job| policy(job).is_some_and(|p| p.max_attempts.is_some()),
        |to, from| to.policy.max_attempts = from.policy.max_attempts,
    ),
    field(
        "policy.initial_backoff",
        |job| policy(job).is_some_and(|p| p.initial_backoff.is_some()),
        |to, from| to.policy.initial_backoff = from.policy.initial_backoff,
    ),
    field(
        "policy.backoff_factor",
        |job| policy(job).is_some_and(|p| p.backoff_factor.is_some()),
        |to, from| to.policy.backoff_factor = from.policy.backoff_factor,
    ),
    field(
        "policy.max_backoff",
        |job| policy(job).is_some_and(|p| p.max_backoff.is_some()),
        |to, from| to.policy.max_backoff = from.policy.max_backoff,
    ),
    field(
        "policy.backoff_jitter",
        |job| policy(job).is_some_and(|p| p.backoff_jitter.is_some()),
        |to, from| to.policy.backoff_jitter = from.policy.backoff_jitter,
    ),
    field(
        "policy.attempt_timeout",
        |job| policy(job).is_some_and(|p| p.attempt_timeout.is_some()),
        |to, from| to.policy.attempt_timeout = from.policy.attempt_timeout,
    ),
    field(
        "policy.run_timeout",
        |job| policy(job).is_some_and(|p| p.run_timeout.is_some()),
        |to, from| to.policy.run_timeout = from.policy.run_timeout,
    ),
    field(
        "policy.lease_duration",
        |job| policy(job).is_some_and(|p| p.lease_duration.is_some()),
        |to, from| to.policy.lease_duration = from.policy.lease_duration,
    ),
];

fn catch_up(job: &proto::ScheduledJob) -> Option<&proto::CatchUpPolicy> {
    job.catch_up.as_ref()
}

fn policy(job: &proto::ScheduledJob) -> Option<&proto::RunPolicy> {
    job.policy.as_ref()
}

fn parameters(job: &proto::ScheduledJob) -> Option<&proto::ScrapeParameters> {
    job.parameters.as_ref()
}

/// The changes that a mask selects: the fields that are set if the mask is empty, all fields for `*`.
pub(super) fn changes(
    mask: Option<FieldMask>,
    job: &proto::ScheduledJob,
) -> Result<Vec<Copy>, AppError> {
    let paths = mask.unwrap_or_default().paths;
    if paths.is_empty() {
        let set = FIELDS.iter().filter(|field| (field.is_set)(job));
        return Ok(set.map(|field| field.copy).collect());
    }
    let mut changes = Vec::new();
    for path in &paths {
        let named = FIELDS.iter().filter(|field| covers(path, field.path));
        let before = changes.len();
        changes.extend(named.map(|field| field.copy));
        if changes.len() == before {
            return Err(unknown(path));
        }
    }
    Ok(changes)
}

fn covers(path: &str, field: &str) -> bool {
    path == "*" || path == field || field.split_once('.').is_some_and(|(parent, _)| parent == path)
}

fn unknown(path: &str) -> AppError {
    let excerpt: String = path.chars().take(64).collect();
    let valid: Vec<_> = FIELDS.iter().map(|field| field.path).collect();
    let valid = valid.join(", ");
    let description = format!(
        "'{excerpt}' cannot be updated; expected one of: {valid}, parameters, policy, catch_up, *"
    );
    AppError::invalid("update_mask", description)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(paths: &[&str], job: &proto::ScheduledJob) -> Option<usize> {
        let paths = paths.iter().map(ToString::to_string).collect();
        changes(Some(FieldMask { paths }), job).ok().map(|changes| changes.len())
    }

    #[test]
    fn a_mask_names_fields_groups_or_all() {
        let job = proto::ScheduledJob::default();
        assert_eq!(count(&["name"], &job), Some(1));
        assert_eq!(count(&["parameters"], &job), Some(8));
        assert_eq!(count(&["parameters.limit"], &job), Some(1));
        assert_eq!(count(&["policy"], &job), Some(8));
        assert_eq!(count(&["policy.max_attempts"], &job), Some(1));
        assert_eq!(count(&["*"], &job), Some(FIELDS.iter().count()));
        assert_eq!(count(&["catch_up"], &job), Some(4));
        assert_eq!(count(&["catch_up.limit"], &job), Some(1));
        for unknown in ["status", "run_count", "parameters.", "parameters.nope", "", "Name"] {
            assert_eq!(count(&["name", unknown], &job), None, "{unknown}");
        }
    }

    #[test]
    fn an_empty_mask_means_what_is_set() {
        let job = proto::ScheduledJob { name: "x".to_owned(), ..Default::default() };
        assert_eq!(count(&[], &job), Some(1));
        assert_eq!(count(&[], &proto::ScheduledJob::default()), Some(0));
    }
}
