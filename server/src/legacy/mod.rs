//! Parses the documents of the system that Windrow replaces, as `mongoexport` writes them. Invalid
//! values are repaired where that is safe; otherwise the document is rejected with a reason. Pure:
//! no I/O, no clock.
//!
//! ```text
//! document ──read──▶ job or run, with notes ──plan──▶ scheduled jobs ──▶ linked runs
//! ```
//!
//! Rules, all of them implemented in this module only:
//!
//! - Ids are kept. An invalid scheduled job id is replaced by a valid one that is derived from it.
//! - A `jobs` document with its own cron expression is a recurring job: it becomes a scheduled job,
//!   and also a run if its fields show that it ran.
//! - A run of a scheduled job that does not exist stays linked: an inactive job without a schedule is created for it.
//! - A run that had not ended is imported as failed, because nothing can continue it. A retry covers the locations
//!   that it had not completed.
//! - A job with an invalid expression or an unknown time zone keeps it and becomes inactive. It has a problem, and no
//!   ticks even if it is resumed, until its schedule is updated.
//! - Numbers, times and texts are bounded when they are read, so that what is read can be stored.
//! - Ticks that were missed before the import do not run.

mod extended_json;
mod fields;
mod ids;
mod job;
mod outcome;
mod parameters;
mod plan;
mod run;
#[cfg(test)]
mod tests;
mod windows_zones;
mod zones;

use chrono::{DateTime, Utc};
use serde_json::Value;

use self::fields::Fields;
use crate::domain::text::shortened;

pub use self::job::LegacyJob;
pub use self::plan::{ImportedJob, Plan};
pub use self::run::LegacyRun;

/// Content of a document: a scheduled job, a run, or a recurring job that ran, which is both.
#[derive(Clone, Debug)]
pub struct ParsedDocument {
    pub job: Option<LegacyJob>,
    pub run: Option<LegacyRun>,
    /// Repairs of the document, one sentence each.
    pub notes: Vec<String>,
    pub unknown_fields: Vec<String>,
}

/// Values that the documents do not contain.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// The source of jobs and runs; the old system had only one.
    pub source: String,
    /// The time of the import.
    pub now: DateTime<Utc>,
}

/// Parses one document. The error is the reason for the rejection.
pub fn read(document: Value, defaults: &Defaults) -> Result<ParsedDocument, String> {
    parse(document, defaults).map_err(|reason| shortened(&reason, fields::NOTE_LENGTH))
}

fn parse(document: Value, defaults: &Defaults) -> Result<ParsedDocument, String> {
    let Value::Object(document) = document else { return Err("not a JSON object".to_owned()) };
    let mut fields = Fields::new(document);
    let (job, run) = match (fields.has("job_id"), fields.has("scheduled_job_id")) {
        (true, false) if fields.has("cron_expression") => recurring(&mut fields, defaults)?,
        (true, _) => (None, Some(run::read(&mut fields, defaults)?)),
        (false, true) => (Some(job::read(&mut fields, defaults)?), None),
        (false, false) => return Err("has neither a job_id nor a scheduled_job_id".to_owned()),
    };
    let (notes, unknown_fields) = fields.finish();
    Ok(ParsedDocument { job, run, notes, unknown_fields })
}

/// Parses a job with its own schedule, from before scheduled jobs existed.
fn recurring(
    fields: &mut Fields,
    defaults: &Defaults,
) -> Result<(Option<LegacyJob>, Option<LegacyRun>), String> {
    let ran = fields.has("completed_at") && run::has_ended(fields);
    let run = ran.then(|| run::read(&mut fields.clone(), defaults)).transpose()?;
    let job = job::read_recurring(fields, defaults)?;
    let run = run.map(|run| run.with_job(&job.id));
    Ok((Some(job), run))
}
