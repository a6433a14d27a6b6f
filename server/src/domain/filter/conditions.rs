//! Conditions on the fields of runs and scheduled jobs, parsed from the `filter` of a request.

use std::str::FromStr;

use strum::VariantArray;

use super::syntax::{Comparison, Operator, parse};
use super::{CountRange, LabelConditions, Period};
use crate::domain::id::ScheduledJobId;
use crate::domain::run::{Origin, Priority, Status as RunStatus};
use crate::domain::scheduled_job::Status as JobStatus;

/// Selects runs for a list, a watch or a bulk cancellation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// The request's own field; `conditions` may name a scheduled job as well.
    pub scheduled_job_id: Option<ScheduledJobId>,
    pub conditions: RunConditions,
}

/// Selects scheduled jobs for a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    pub show_deleted: bool,
    pub conditions: JobConditions,
}

/// Conditions on runs, all of which must hold. An enum field lists its accepted values; `None` accepts
/// all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunConditions {
    pub status: Option<Vec<RunStatus>>,
    pub origin: Option<Vec<Origin>>,
    pub priority: Option<Vec<Priority>>,
    pub scheduled_job_id: Option<ScheduledJobId>,
    pub source: Option<String>,
    pub created: Period,
    /// Number of locations that failed in the current or last attempt.
    pub failed_locations: CountRange,
    pub labels: LabelConditions,
}

/// Conditions on scheduled jobs, all of which must hold. An enum field lists its accepted values;
/// `None` accepts all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobConditions {
    pub status: Option<Vec<JobStatus>>,
    pub priority: Option<Vec<Priority>>,
    pub source: Option<String>,
    pub created: Period,
    pub labels: LabelConditions,
}

const RUN_FIELDS: &str = "status, origin, priority, scheduled_job_id, parameters.source, created_at, \
                          failed_locations, labels";
const JOB_FIELDS: &str = "status, priority, parameters.source, created_at, labels";

impl RunConditions {
    /// Parses a filter of runs.
    pub fn parse(filter: &str) -> Result<Self, String> {
        let mut conditions = Self::default();
        for comparison in parse(filter)? {
            conditions.add(&comparison)?;
        }
        Ok(conditions)
    }

    /// With `status`, if there is one, as another condition.
    #[must_use]
    pub fn with_status(mut self, status: Option<RunStatus>) -> Self {
        if let Some(status) = status {
            retain(&mut self.status, |one| one == status);
        }
        self
    }

    fn add(&mut self, comparison: &Comparison) -> Result<(), String> {
        match comparison.field.as_str() {
            "status" => accept(&mut self.status, comparison),
            "origin" => accept(&mut self.origin, comparison),
            "priority" => accept(&mut self.priority, comparison),
            "scheduled_job_id" => {
                let id = ScheduledJobId::parse(&comparison.value)
                    .map_err(|error| format!("scheduled_job_id {error}"))?;
                require(&mut self.scheduled_job_id, comparison, id)
            }
            "parameters.source" => require(&mut self.source, comparison, comparison.value.clone()),
            "created_at" => self.created.add(comparison),
            "failed_locations" => self.failed_locations.add(comparison),
            _ => self.labels.add(comparison, RUN_FIELDS),
        }
    }
}

impl JobConditions {
    /// Parses a filter of scheduled jobs.
    pub fn parse(filter: &str) -> Result<Self, String> {
        let mut conditions = Self::default();
        for comparison in parse(filter)? {
            conditions.add(&comparison)?;
        }
        Ok(conditions)
    }

    /// With `status`, if there is one, as another condition.
    #[must_use]
    pub fn with_status(mut self, status: Option<JobStatus>) -> Self {
        if let Some(status) = status {
            retain(&mut self.status, |one| one == status);
        }
        self
    }

    fn add(&mut self, comparison: &Comparison) -> Result<(), String> {
        match comparison.field.as_str() {
            "status" => accept(&mut self.status, comparison),
            "priority" => accept(&mut self.priority, comparison),
            "parameters.source" => require(&mut self.source, comparison, comparison.value.clone()),
            "created_at" => self.created.add(comparison),
            _ => self.labels.add(comparison, JOB_FIELDS),
        }
    }
}

/// Narrows the accepted values. A value is spelled as in the database or as in the API:
/// `failed`, `SCRAPING_JOB_STATUS_FAILED`.
fn accept<T>(accepted: &mut Option<Vec<T>>, comparison: &Comparison) -> Result<(), String>
where
    T: Copy + PartialEq + FromStr + VariantArray + Into<&'static str>,
{
    let Comparison { field, operator, value } = comparison;
    let word = value.to_lowercase();
    let parsed = word.parse::<T>().ok();
    let suffix = || word.rsplit('_').next()?.parse::<T>().ok();
    let value = parsed.or_else(suffix).ok_or_else(|| unknown_value::<T>(field, value))?;
    match operator {
        Operator::Equal => retain(accepted, |one| one == value),
        Operator::NotEqual => retain(accepted, |one| one != value),
        other => return Err(unsupported(field, *other, "= or !=")),
    }
    Ok(())
}

fn retain<T: Copy + VariantArray>(accepted: &mut Option<Vec<T>>, keep: impl Fn(T) -> bool) {
    let values = accepted.get_or_insert_with(|| T::VARIANTS.to_vec());
    values.retain(|one| keep(*one));
}

fn unknown_value<T: Copy + VariantArray + Into<&'static str>>(field: &str, value: &str) -> String {
    let words: Vec<&str> = T::VARIANTS.iter().map(|one| (*one).into()).collect();
    match words.split_last() {
        Some((last, others)) => {
            format!("unknown {field} '{value}'; expected {} or {last}", others.join(", "))
        }
        None => format!("unknown {field} '{value}'"),
    }
}

fn require<T>(required: &mut Option<T>, comparison: &Comparison, value: T) -> Result<(), String> {
    let Comparison { field, operator, .. } = comparison;
    if *operator != Operator::Equal {
        return Err(unsupported(field, *operator, "="));
    }
    if required.replace(value).is_some() {
        return Err(format!("{field} can be compared only once"));
    }
    Ok(())
}

pub(super) fn unsupported(field: &str, operator: Operator, supported: &str) -> String {
    let negation = if operator == Operator::Lacks { "NOT " } else { "" };
    let sign = operator.sign();
    format!("operator {negation}{sign} is not supported for {field}; use {supported}")
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;

    #[test]
    fn every_field_of_a_run_can_be_compared() {
        let parsed = RunConditions::parse(
            "status != pending AND -status = SCRAPING_JOB_STATUS_RUNNING AND origin = backfill \
             AND scheduled_job_id = sold AND parameters.source = mls AND labels.team = a \
             AND labels.team != b AND labels:x AND NOT labels:y AND failed_locations > 0 \
             AND created_at > '2026-01-01T00:00:00Z' AND created_at <= '2026-01-02T01:00:00+01:00'",
        )
        .unwrap();
        let time = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap());
        let expected = RunConditions {
            status: Some(vec![RunStatus::Completed, RunStatus::Failed, RunStatus::Cancelled]),
            origin: Some(vec![Origin::Backfill]),
            priority: None,
            scheduled_job_id: ScheduledJobId::parse("sold").ok(),
            source: Some("mls".to_owned()),
            created: Period {
                from: time("2026-01-01T00:00:00.000001Z"),
                until: time("2026-01-02T00:00:00.000001Z"),
            },
            failed_locations: CountRange { at_least: Some(1), ..CountRange::default() },
            labels: LabelConditions {
                equal: [("team".to_owned(), "a".to_owned())].into(),
                differ: vec![("team".to_owned(), "b".to_owned())],
                have: ["x".to_owned()].into(),
                lack: ["y".to_owned()].into(),
            },
        };
        assert_eq!(parsed, expected);
    }

    #[test]
    fn contradictions_match_nothing() {
        let parsed = JobConditions::parse("status = active AND status = paused").unwrap();
        assert_eq!(parsed.status, Some(Vec::new()));
        let parsed = RunConditions::parse("status = failed").unwrap();
        assert_eq!(parsed.with_status(Some(RunStatus::Pending)).status, Some(Vec::new()));
    }

    #[test]
    fn an_unsupported_comparison_is_rejected_with_its_field() {
        let check = |filter: &str, expected: &str| {
            let error = RunConditions::parse(filter).unwrap_err();
            assert!(error.contains(expected), "{filter}: {error}");
        };
        check("colour = red", "unknown field 'colour'; expected one of status, origin");
        check(
            "status = done",
            "unknown status 'done'; expected pending, running, completed, failed or cancelled",
        );
        check("status > failed", "operator > is not supported for status; use = or !=");
        check(
            "parameters.source != x",
            "operator != is not supported for parameters.source; use =",
        );
        check("NOT scheduled_job_id:x", "operator NOT : is not supported for scheduled_job_id");
        check("created_at = '2026-01-01T00:00:00Z'", "created_at; use <, <=, > or >=");
        check("created_at > yesterday", "'yesterday' is not an RFC 3339 time");
        check("created_at > '9999-12-31T23:59:59.9999999Z'", "outside of the years 1 to 9999");
        check("failed_locations > some", "failed_locations: 'some' is not a whole number");
        check("failed_locations:1", "operator : is not supported for failed_locations");
        check("labels.Team = x", "'Team' is not a valid label key");
        check("labels = x", "operator = is not supported for labels; use :");
        check("scheduled_job_id = A", "scheduled_job_id must match");
        check("parameters.source = a AND parameters.source = b", "can be compared only once");
        check("labels.a = 1 AND labels.a = 2", "labels.a cannot equal two values");
        assert!(JobConditions::parse("origin = retry").unwrap_err().contains("field 'origin'"));
    }
}
