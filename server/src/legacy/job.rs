//! Documents of `scheduled_jobs`, and recurring ones of `jobs`.

use chrono::{DateTime, Utc};

use super::Defaults;
use super::fields::Fields;
use super::{ids, parameters, run, zones};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::labels::{self, Labels};
use crate::domain::parameters::ScrapeParameters;
use crate::domain::run::{Priority, Status as RunStatus};
use crate::domain::schedule::Schedule;
use crate::domain::scheduled_job::{NAME_LENGTH, Status};
use crate::domain::text::{check_line, shortened};

/// Maximum length of an invalid expression or time zone that is kept, in characters.
const INVALID_LENGTH: usize = 200;
const UNKNOWN_ZONE: &str = "unknown";

/// A scheduled job of the old system, repaired.
#[derive(Clone, Debug)]
pub struct LegacyJob {
    pub id: ScheduledJobId,
    pub name: String,
    pub schedule: Schedule,
    pub status: Status,
    /// Priority of the runs that its ticks create.
    pub priority: Priority,
    pub parameters: ScrapeParameters,
    pub labels: Labels,
    pub created_at: Option<DateTime<Utc>>,
    pub updated_at: Option<DateTime<Utc>>,
    pub run_count: Option<i64>,
    /// Start of the last run.
    pub last_run_at: Option<DateTime<Utc>>,
    pub last_run_status: Option<RunStatus>,
    pub last_run_job_id: Option<RunId>,
}

pub(super) fn read(fields: &mut Fields, defaults: &Defaults) -> Result<LegacyJob, String> {
    let old = fields.text("scheduled_job_id").ok_or("scheduled_job_id is missing")?;
    let status = status(fields);
    parse(fields, defaults, &old, status)
}

/// Parses a recurring job. Its `status` is that of its last execution, which decides if it stays
/// active.
pub(super) fn read_recurring(
    fields: &mut Fields,
    defaults: &Defaults,
) -> Result<LegacyJob, String> {
    let old = fields.text("job_id").ok_or("job_id is missing")?;
    let word = fields.text("status").unwrap_or_default().to_lowercase();
    let status = match word.as_str() {
        "cancelled" | "canceled" | "failed" | "inactive" | "paused" => Status::Inactive,
        _ => Status::Active,
    };
    let job = parse(fields, defaults, &old, status)?;
    // If it ran, the fields of the run were read from a copy.
    run::ignore_run_fields(fields);
    fields.note(format!("the recurring job '{old}' became the scheduled job '{}'", job.id));
    Ok(job)
}

/// An inactive job without a schedule, for runs that refer to a scheduled job that does not exist.
pub(super) fn placeholder(id: ScheduledJobId, parameters: ScrapeParameters) -> LegacyJob {
    LegacyJob {
        name: id.to_string(),
        schedule: Schedule::unreadable(String::new(), "UTC".to_owned()),
        status: Status::Inactive,
        priority: Priority::Normal,
        parameters,
        labels: Labels::new(),
        created_at: None,
        updated_at: None,
        run_count: None,
        last_run_at: None,
        last_run_status: None,
        last_run_job_id: None,
        id,
    }
}

fn parse(
    fields: &mut Fields,
    defaults: &Defaults,
    old: &str,
    status: Status,
) -> Result<LegacyJob, String> {
    let id = ids::valid_id(old)
        .ok_or_else(|| format!("cannot derive a scheduled job id from '{old}'"))?;
    if id.as_str() != old {
        fields.note(format!("id '{old}' is not a valid scheduled job id; replaced by '{id}'"));
    }
    let (schedule, status) = schedule(fields, status);
    Ok(LegacyJob {
        name: name(fields, &id),
        schedule,
        status,
        priority: run::priority(fields, Priority::Normal),
        parameters: parameters::read(fields, &defaults.source),
        labels: labels(fields),
        created_at: fields.time("created_at"),
        updated_at: fields.time("updated_at"),
        run_count: fields.count("run_count"),
        last_run_at: fields.time("last_run_at"),
        last_run_status: last_run_status(fields),
        last_run_job_id: fields.text("last_run_job_id").and_then(|id| RunId::parse(&id).ok()),
        id,
    })
}

fn status(fields: &mut Fields) -> Status {
    let Some(word) = fields.text("status") else {
        fields.note("status is missing; imported the job as inactive");
        return Status::Inactive;
    };
    word.to_lowercase().parse().unwrap_or_else(|_| {
        fields.note(format!("status '{word}' is unknown; imported the job as inactive"));
        Status::Inactive
    })
}

fn name(fields: &mut Fields, id: &ScheduledJobId) -> String {
    let given = fields.text("name").unwrap_or_default();
    match check_line(&given, NAME_LENGTH) {
        Ok(()) => given,
        Err(reason) => {
            fields.note(format!("name {reason}; using the id as the name"));
            id.to_string()
        }
    }
}

/// The job must not run at a wrong time. So an invalid expression and an unknown zone are kept as they are, without
/// ticks: the job is inactive and has a problem until its schedule is updated.
fn schedule(fields: &mut Fields, status: Status) -> (Schedule, Status) {
    let timezone = timezone(fields);
    let cron = fields.text("cron_expression").unwrap_or_default();
    let error = match Schedule::parse(&cron, &timezone) {
        Ok(schedule) => return (schedule, status),
        Err(error) => error,
    };
    // An unknown zone has a note already.
    if error.field() == "cron_expression" {
        fields.note(format!(
            "cron_expression '{cron}': {error}; imported the job as inactive, without ticks"
        ));
    }
    let timezone = if timezone.is_empty() { "UTC".to_owned() } else { timezone };
    (Schedule::unreadable(kept(&cron), timezone), Status::Inactive)
}

/// An invalid text, which remains invalid if it is cut.
fn kept(text: &str) -> String {
    match text.char_indices().nth(INVALID_LENGTH) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text.to_owned(),
    }
}

/// The IANA zone, or an unknown one as it is.
fn timezone(fields: &mut Fields) -> String {
    if !fields.has("timezone") {
        fields.value("timezone");
        return String::new();
    }
    // An invalid value has a note of its own.
    let old = fields.text("timezone");
    let found = old.as_deref().ok_or("is invalid").and_then(zones::iana_name);
    let old = old.unwrap_or_default();
    match found {
        Ok(name) if name == old => name,
        Ok(name) => {
            fields.note(format!("timezone '{old}' was changed to '{name}'"));
            name
        }
        Err(reason) => {
            fields.note(format!(
                "timezone '{old}' {reason}; imported the job as inactive, without ticks"
            ));
            if old.is_empty() { UNKNOWN_ZONE.to_owned() } else { kept(&old) }
        }
    }
}

/// Windrow's jobs have no description; it becomes a label.
fn labels(fields: &mut Fields) -> Labels {
    let Some(description) = fields.text("description") else { return Labels::new() };
    let label = shortened(&description, labels::LENGTH);
    if label != description {
        fields.note(format!(
            "description '{description}' does not fit a label; shortened it to '{label}'"
        ));
    }
    Labels::from([("description".to_owned(), label)])
}

fn last_run_status(fields: &mut Fields) -> Option<RunStatus> {
    let word = fields.text("last_run_status")?;
    let status = run::status_of(&word).filter(|status| status.is_final());
    if status.is_none() {
        fields.note(format!("last_run_status '{word}' is not a final status; ignored"));
    }
    status
}
