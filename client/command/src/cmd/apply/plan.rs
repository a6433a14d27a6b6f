//! The changes that make the jobs of a server equal to those of files.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt;
use windrow_client::proto::{self, ScheduledJob, ScheduledJobStatus};
use windrow_client::{Client, Code, CreateJob, Error};

use super::diff::{Difference, differences};
use super::files::{Desired, DesiredJob, refused};
use crate::document::write;
use crate::failure::Failure;
use crate::flags::Selector;
use crate::json::word;
use crate::output::{hint, warn};

/// A change of one job.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) step: Step,
    pub(super) differences: Vec<Difference>,
}

#[derive(Debug)]
pub(super) enum Step {
    Create(Box<ScheduledJob>),
    Undelete(Box<ScheduledJob>),
    Update(Box<ScheduledJob>),
    Delete { scheduled_job_id: String, etag: String },
}

#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) changes: Vec<Change>,
    /// IDs of jobs that are as desired.
    pub(super) unchanged: Vec<String>,
}

/// The changes, validated by the server. Errors of all files and jobs are reported together.
pub(super) async fn plan(
    client: &Client,
    desired: Desired,
    prune: Option<&Selector>,
) -> Result<Plan, Failure> {
    let Desired { jobs: desired, errors: mut rejected } = desired;
    rejected.extend(prune.into_iter().flat_map(|selector| outside(&desired, selector)));
    if desired.is_empty() {
        return Err(refused(&rejected));
    }
    let jobs: Vec<_> = client.list_jobs().show_deleted().stream().try_collect().await?;
    let present: BTreeMap<_, _> =
        jobs.into_iter().map(|job| (job.scheduled_job_id.clone(), job)).collect();
    let mut plan = Plan::default();
    for it in &desired {
        let job = it.job();
        match change(client, job, present.get(&job.scheduled_job_id)).await {
            Ok(change)
                if change.differences.is_empty() && matches!(change.step, Step::Update(_)) =>
            {
                plan.unchanged.push(job.scheduled_job_id.clone());
            }
            Ok(change) => plan.changes.push(change),
            Err(Failure::Client(error)) if error.code() == Code::InvalidArgument => {
                match present.get(&job.scheduled_job_id) {
                    Some(same) if is_as_invalid(same, job)? => {
                        warn(Some(&job.scheduled_job_id), &[stays_invalid(same)]);
                        plan.unchanged.push(job.scheduled_job_id.clone());
                    }
                    _ => rejected.extend(violations(it, &error)),
                }
            }
            Err(error) => return Err(error),
        }
    }
    if !rejected.is_empty() {
        return Err(refused(&rejected));
    }
    if let Some(selector) = prune {
        plan.changes.extend(deletions(&desired, &present, selector)?);
    }
    Ok(plan)
}

/// Whether the server has the job with these settings already, which became invalid there: an export of all jobs can
/// still be applied.
fn is_as_invalid(present: &ScheduledJob, desired: &ScheduledJob) -> Result<bool, Failure> {
    let is_invalid = !present.problem.is_empty() && present.deleted_at.is_none();
    Ok(is_invalid && write(&bare(present))? == write(&bare(desired))?)
}

/// Only the settings.
fn bare(job: &ScheduledJob) -> ScheduledJob {
    let (problem, status) = (String::new(), ScheduledJobStatus::Unspecified.into());
    ScheduledJob { problem, status, ..job.clone() }
}

fn stays_invalid(job: &ScheduledJob) -> String {
    let (problem, id) = (&job.problem, &job.scheduled_job_id);
    format!(
        "is invalid on the server, and stays so: {problem}; correct it here or with windrow jobs update {id}"
    )
}

/// Errors of jobs outside of the selection: they would be created now, and not be found by the next apply that prunes.
fn outside(desired: &[DesiredJob], selector: &Selector) -> Vec<String> {
    let outside = desired.iter().filter_map(|it| {
        let label = selector.missing(it.job())?;
        let id = &it.job().scheduled_job_id;
        Some(format!(
            "{}: labels: {id} does not have the selected label {label}",
            it.place("labels")
        ))
    });
    outside.collect()
}

/// Errors of the server with their places.
fn violations(desired: &DesiredJob, error: &Error) -> Vec<String> {
    let id = &desired.job().scheduled_job_id;
    let of_field = error.field_violations().iter().map(|violation| {
        let field = violation.field.trim_start_matches("scheduled_job.");
        format!("{}: {field}: {} (job {id})", desired.place(field), violation.description)
    });
    let found: Vec<_> = of_field.collect();
    if found.is_empty() { vec![format!("{}: {error}", desired.place(""))] } else { found }
}

async fn change(
    client: &Client,
    desired: &ScheduledJob,
    present: Option<&ScheduledJob>,
) -> Result<Change, Failure> {
    let Some(present) = present else {
        let after = client.create_job(CreateJob::from(desired.clone()).validate_only()).await?;
        warn(Some(&desired.scheduled_job_id), &after.warnings);
        let differences = differences(None, Some(&after))?;
        return Ok(Change { step: Step::Create(Box::new(desired.clone())), differences });
    };
    if present.deleted_at.is_some() {
        // A deleted job cannot be updated, so the settings are checked as those of a new job.
        let new = ScheduledJob { scheduled_job_id: String::new(), ..desired.clone() };
        let after = client.create_job(CreateJob::from(new).validate_only()).await?;
        let after = ScheduledJob { scheduled_job_id: desired.scheduled_job_id.clone(), ..after };
        warn(Some(&desired.scheduled_job_id), &after.warnings);
        tell_status(present);
        // Compared with nothing, like a new job: nobody sees the settings of a deleted job.
        let differences = differences(None, Some(&after))?;
        return Ok(Change { step: Step::Undelete(Box::new(desired.clone())), differences });
    }
    let job = ScheduledJob { etag: present.etag.clone(), ..desired.clone() };
    let response = client.raw().update_scheduled_job(update(&job, true)).await?;
    let after = response.scheduled_job.ok_or(Failure::Incomplete("scheduled job"))?;
    let differences = differences(Some(present), Some(&after))?;
    if !differences.is_empty() {
        warn(Some(&desired.scheduled_job_id), &after.warnings);
    }
    Ok(Change { step: Step::Update(Box::new(job)), differences })
}

/// A job comes back with the status that it had. Nothing else says that it does not run.
fn tell_status(deleted: &ScheduledJob) {
    let id = &deleted.scheduled_job_id;
    if deleted.status() != ScheduledJobStatus::Active {
        let status = word(deleted.status().as_str_name(), "SCHEDULED_JOB_STATUS_");
        hint(&format!(
            "{id} comes back {status}, as it was; activate it: windrow jobs resume {id}"
        ));
    }
}

/// Deletions of the selected jobs that are not desired.
fn deletions(
    desired: &[DesiredJob],
    present: &BTreeMap<String, ScheduledJob>,
    selector: &Selector,
) -> Result<Vec<Change>, Failure> {
    let desired: BTreeSet<_> =
        desired.iter().map(|it| it.job().scheduled_job_id.as_str()).collect();
    let is_gone = |job: &&ScheduledJob| {
        let is_present = job.deleted_at.is_none() && selector.selects(job);
        is_present && !desired.contains(job.scheduled_job_id.as_str())
    };
    let deletion = |job: &ScheduledJob| {
        let (scheduled_job_id, etag) = (job.scheduled_job_id.clone(), job.etag.clone());
        let differences = differences(Some(job), None)?;
        Ok(Change { step: Step::Delete { scheduled_job_id, etag }, differences })
    };
    present.values().filter(is_gone).map(deletion).collect()
}

impl Step {
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Undelete(_) => "restore",
            Self::Update(_) => "update",
            Self::Delete { .. } => "delete",
        }
    }

    pub(super) fn job_id(&self) -> &str {
        match self {
            Self::Create(job) | Self::Undelete(job) | Self::Update(job) => &job.scheduled_job_id,
            Self::Delete { scheduled_job_id, .. } => scheduled_job_id,
        }
    }

    pub(super) async fn execute(&self, client: &Client) -> Result<(), Error> {
        match self {
            Self::Create(job) => drop(client.create_job((**job).clone()).await?),
            Self::Undelete(job) => {
                client.undelete_job(&job.scheduled_job_id).await?;
                client.raw().update_scheduled_job(update(job, false)).await?;
            }
            Self::Update(job) => {
                client.raw().update_scheduled_job(update(job, false)).await?;
            }
            Self::Delete { scheduled_job_id, etag } => {
                client.delete_job(scheduled_job_id).etag(etag).await?;
            }
        }
        Ok(())
    }
}

/// An update of all settings. The etag makes it fail if the job was changed since it was listed.
fn update(job: &ScheduledJob, validate_only: bool) -> proto::UpdateScheduledJobRequest {
    proto::UpdateScheduledJobRequest {
        scheduled_job: Some(job.clone()),
        update_mask: Some(prost_types::FieldMask { paths: vec!["*".to_owned()] }),
        validate_only,
    }
}
