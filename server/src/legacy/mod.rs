//! The documents of the system that Windrow replaces, as `mongoexport` writes them: read, mended where
//! that is safe, and refused with a reason where it is not. Pure: no I/O, no clock.
//!
//! ```text
//! line ──read──▶ job or run, with notes ──plan──▶ scheduled jobs ──▶ linked runs
//! ```
//!
//! What is decided here, and nowhere else:
//!
//! - Ids are kept. A scheduled job's id that has not the form of one gets one that follows from it.
//! - A `jobs` document with a cron expression of its own is a recurring job: it becomes a scheduled job,
//!   and also a run if it says that it ran.
//! - A run that names a scheduled job which is nowhere stays linked: an inactive job is made for it.
//! - A run that had not ended failed: nothing is left that could go on with it.
//! - A job whose schedule cannot be read is inactive, due at midnight once somebody resumes it.
//! - Ticks that were missed before the import are not run.

mod fields;
mod ids;
mod job;
mod parameters;
mod plan;
mod run;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde_json::Value;

use self::fields::Fields;

pub use self::job::LegacyJob;
pub use self::plan::{ImportedJob, Plan};
pub use self::run::LegacyRun;

/// What a line holds: a job that is due again and again, one execution, or a recurring job that says
/// that it ran, which is both.
#[derive(Clone, Debug)]
pub struct ParsedDocument {
    pub job: Option<LegacyJob>,
    pub run: Option<LegacyRun>,
    /// What was mended in it, a sentence each.
    pub notes: Vec<String>,
    /// Fields that mean nothing here.
    pub unknown: Vec<String>,
}

/// What the documents leave open.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// The source of jobs and runs; the old system had one only.
    pub source: String,
    /// The time of the import.
    pub now: DateTime<Utc>,
}

/// Reads one line; the error says why it cannot be taken over.
pub fn read(line: &str, defaults: &Defaults) -> Result<ParsedDocument, String> {
    let value: Value = serde_json::from_str(line).map_err(|e| format!("not JSON: {e}"))?;
    let Value::Object(document) = value else { return Err("not a JSON object".to_owned()) };
    let mut fields = Fields::new(document);
    let (job, run) = match (fields.has("job_id"), fields.has("scheduled_job_id")) {
        (true, false) if fields.has("cron_expression") => recurring(&mut fields, defaults)?,
        (true, _) => (None, Some(run::read(&mut fields, defaults)?)),
        (false, true) => (Some(job::read(&mut fields, defaults)?), None),
        (false, false) => return Err("has neither a job_id nor a scheduled_job_id".to_owned()),
    };
    let (notes, unknown) = fields.finish();
    Ok(ParsedDocument { job, run, notes, unknown })
}

/// A job with a schedule of its own, from before there were scheduled jobs.
fn recurring(
    fields: &mut Fields,
    defaults: &Defaults,
) -> Result<(Option<LegacyJob>, Option<LegacyRun>), String> {
    let ran = fields.has("completed_at") && run::has_ended(fields);
    let run = ran.then(|| run::read(&mut fields.clone(), defaults)).transpose()?;
    let job = job::read_recurring(fields, defaults)?;
    let run = run.map(|run| run.of(&job.id));
    Ok((Some(job), run))
}
