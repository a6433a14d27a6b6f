//! What a list is asked for: the comparisons of a filter, read for the fields of one resource.

use std::collections::BTreeSet;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use strum::VariantArray;

use super::filter::{Comparison, Operator, parse};
use super::id::ScheduledJobId;
use super::labels::{self, Labels};
use super::run::{Origin, Priority, Status as RunStatus};
use super::scheduled_job::Status as JobStatus;

/// What a filter asks of labels. A label that is not there differs from every value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelConditions {
    /// All of these are there.
    pub equal: Labels,
    /// None of these is there.
    pub differ: Vec<(String, String)>,
    /// These keys are there.
    pub have: BTreeSet<String>,
    /// None of these keys is there.
    pub lack: BTreeSet<String>,
}

/// A half-open stretch of time; `None` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    pub from: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
}

/// What a filter asks of runs. A list of words is those that are accepted; `None` is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunConditions {
    pub status: Option<Vec<RunStatus>>,
    pub origin: Option<Vec<Origin>>,
    pub priority: Option<Vec<Priority>>,
    /// The scheduled job it belongs to.
    pub scheduled_job_id: Option<ScheduledJobId>,
    /// The source it scrapes.
    pub source: Option<String>,
    /// When it was made.
    pub created: Period,
    pub labels: LabelConditions,
}

/// What a filter asks of scheduled jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobConditions {
    pub status: Option<Vec<JobStatus>>,
    pub priority: Option<Vec<Priority>>,
    /// The source it scrapes.
    pub source: Option<String>,
    /// When it was made.
    pub created: Period,
    pub labels: LabelConditions,
}

const RUN_FIELDS: &str =
    "status, origin, priority, scheduled_job_id, parameters.source, created_at, labels";
const JOB_FIELDS: &str = "status, priority, parameters.source, created_at, labels";

impl RunConditions {
    /// Reads a filter of runs; the error is a phrase about it.
    pub fn read(filter: &str) -> Result<Self, String> {
        let mut wanted = Self::default();
        for comparison in parse(filter)? {
            wanted.add(&comparison)?;
        }
        Ok(wanted)
    }

    fn add(&mut self, comparison: &Comparison) -> Result<(), String> {
        match comparison.field.as_str() {
            "status" => narrow(&mut self.status, comparison),
            "origin" => narrow(&mut self.origin, comparison),
            "priority" => narrow(&mut self.priority, comparison),
            "scheduled_job_id" => {
                let id = ScheduledJobId::parse(&comparison.value)
                    .map_err(|error| format!("scheduled_job_id {error}"))?;
                only(&mut self.scheduled_job_id, comparison, id)
            }
            "parameters.source" => only(&mut self.source, comparison, comparison.value.clone()),
            "created_at" => self.created.add(comparison),
            _ => self.labels.add(comparison, RUN_FIELDS),
        }
    }
}

impl JobConditions {
    /// Reads a filter of scheduled jobs; the error is a phrase about it.
    pub fn read(filter: &str) -> Result<Self, String> {
        let mut wanted = Self::default();
        for comparison in parse(filter)? {
            wanted.add(&comparison)?;
        }
        Ok(wanted)
    }

    fn add(&mut self, comparison: &Comparison) -> Result<(), String> {
        match comparison.field.as_str() {
            "status" => narrow(&mut self.status, comparison),
            "priority" => narrow(&mut self.priority, comparison),
            "parameters.source" => only(&mut self.source, comparison, comparison.value.clone()),
            "created_at" => self.created.add(comparison),
            _ => self.labels.add(comparison, JOB_FIELDS),
        }
    }
}

/// Words as they are, or as the API's enums spell them: `failed`, `SCRAPING_JOB_STATUS_FAILED`.
fn narrow<T: Copy + PartialEq + FromStr + VariantArray>(
    accepted: &mut Option<Vec<T>>,
    comparison: &Comparison,
) -> Result<(), String> {
    let Comparison { field, operator, value } = comparison;
    let word = value.to_lowercase();
    let read = |word: &str| word.parse::<T>().ok();
    let known = word.rsplit('_').next().and_then(read);
    let wanted = read(&word).or(known).ok_or_else(|| format!("{field} is never '{value}'"))?;
    let equal = match operator {
        Operator::Equal => true,
        Operator::NotEqual => false,
        other => return Err(unfit(field, *other, "= and !=")),
    };
    let before = accepted.take().unwrap_or_else(|| T::VARIANTS.to_vec());
    *accepted = Some(before.into_iter().filter(|one| (*one == wanted) == equal).collect());
    Ok(())
}

fn only<T>(wanted: &mut Option<T>, comparison: &Comparison, value: T) -> Result<(), String> {
    let Comparison { field, operator, .. } = comparison;
    if *operator != Operator::Equal {
        return Err(unfit(field, *operator, "="));
    }
    if wanted.replace(value).is_some() {
        return Err(format!("{field} may be compared once"));
    }
    Ok(())
}

fn unfit(field: &str, operator: Operator, fit: &str) -> String {
    let negation = if operator == Operator::Lacks { "NOT " } else { "" };
    format!("{field} is compared by {fit}, not by {negation}{}", operator.sign())
}

impl Period {
    fn add(&mut self, comparison: &Comparison) -> Result<(), String> {
        let Comparison { field, operator, value } = comparison;
        let unreadable = |_| {
            format!("{field}: '{value}' is not an RFC 3339 time such as \"2026-01-31T08:00:00Z\"")
        };
        let time = DateTime::parse_from_rfc3339(value).map_err(unreadable)?.with_timezone(&Utc);
        // Times are kept in microseconds.
        let after = time + chrono::TimeDelta::microseconds(1);
        match operator {
            Operator::GreaterOrEqual => self.from = self.from.max(Some(time)),
            Operator::Greater => self.from = self.from.max(Some(after)),
            Operator::Less => self.until = Some(earlier(self.until, time)),
            Operator::LessOrEqual => self.until = Some(earlier(self.until, after)),
            Operator::Equal | Operator::NotEqual | Operator::Has | Operator::Lacks => {
                return Err(unfit(field, *operator, "< <= > >="));
            }
        }
        Ok(())
    }
}

fn earlier(one: Option<DateTime<Utc>>, other: DateTime<Utc>) -> DateTime<Utc> {
    one.map_or(other, |one| one.min(other))
}

impl LabelConditions {
    /// Takes `labels.KEY = VALUE` and `labels:KEY`; every other field is unknown.
    fn add(&mut self, comparison: &Comparison, known: &str) -> Result<(), String> {
        let Comparison { field, operator, value } = comparison;
        if field == "labels" {
            check_key(value)?;
            let keys = match operator {
                Operator::Has => &mut self.have,
                Operator::Lacks => &mut self.lack,
                other => return Err(unfit("labels", *other, ":")),
            };
            keys.insert(value.clone());
            return Ok(());
        }
        let Some(key) = field.strip_prefix("labels.") else {
            return Err(format!("there is no field '{field}'; there are: {known}"));
        };
        check_key(key)?;
        match operator {
            Operator::Equal => {
                if self.equal.insert(key.to_owned(), value.clone()).is_some_and(|v| v != *value) {
                    return Err(format!("{field} cannot have two values"));
                }
            }
            Operator::NotEqual => self.differ.push((key.to_owned(), value.clone())),
            other => return Err(unfit(field, *other, "= and !=")),
        }
        Ok(())
    }
}

fn check_key(key: &str) -> Result<(), String> {
    if labels::is_key(key) {
        return Ok(());
    }
    Err(format!("'{key}' is no label's key; keys match [a-z][a-z0-9_-]{{0,62}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_runs_are_read() {
        let read = RunConditions::read(
            "status != pending AND -status = SCRAPING_JOB_STATUS_RUNNING AND origin = backfill \
             AND scheduled_job_id = sold AND parameters.source = mls AND labels.team = a \
             AND labels.team != b AND labels:x AND NOT labels:y \
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
            labels: LabelConditions {
                equal: [("team".to_owned(), "a".to_owned())].into(),
                differ: vec![("team".to_owned(), "b".to_owned())],
                have: ["x".to_owned()].into(),
                lack: ["y".to_owned()].into(),
            },
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn contradictions_match_nothing() {
        let read = JobConditions::read("status = active AND status = paused").unwrap();
        assert_eq!(read.status, Some(Vec::new()));
    }

    #[test]
    fn what_cannot_be_asked_is_said() {
        let check = |filter: &str, expected: &str| {
            let said = RunConditions::read(filter).unwrap_err();
            assert!(said.contains(expected), "{filter}: {said}");
        };
        check("colour = red", "there is no field 'colour'; there are: status");
        check("status = done", "status is never 'done'");
        check("status > failed", "status is compared by = and !=, not by >");
        check("parameters.source != x", "parameters.source is compared by =");
        check("created_at = '2026-01-01T00:00:00Z'", "created_at is compared by < <= > >=");
        check("created_at > yesterday", "'yesterday' is not an RFC 3339 time");
        check("labels.Team = x", "'Team' is no label's key");
        check("labels = x", "labels is compared by :");
        check("scheduled_job_id = A", "scheduled_job_id must match");
        check("labels.a = 1 AND labels.a = 2", "labels.a cannot have two values");
        assert!(JobConditions::read("origin = retry").unwrap_err().contains("no field 'origin'"));
    }
}
