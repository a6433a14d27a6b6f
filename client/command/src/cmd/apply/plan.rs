//! The changes that make the jobs of a server equal to those of files.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use windrow_client::proto::{self, ScheduledJob};
use windrow_client::{Client, Code, CreateJob, Error};

use super::diff;
use super::files::DesiredJob;
use crate::failure::Failure;
use crate::output::warn_about_schedule;

/// A change of one job.
#[derive(Debug)]
pub(super) enum Step {
    Create(Box<ScheduledJob>),
    Undelete(Box<ScheduledJob>),
    Update(Box<ScheduledJob>),
    Delete { scheduled_job_id: String, etag: String },
}

#[derive(Debug)]
pub(super) struct Change {
    pub(super) step: Step,
    /// The change for people.
    pub(super) text: String,
}

/// The changes, validated by the server, and the number of jobs without a change. Errors of all jobs are
/// reported together.
pub(super) async fn plan(
    client: &Client,
    desired: &[DesiredJob],
    prune: bool,
) -> Result<(Vec<Change>, usize), Failure> {
    let jobs: Vec<_> = client.list_jobs().show_deleted().stream().try_collect().await?;
    let present: BTreeMap<_, _> =
        jobs.into_iter().map(|job| (job.scheduled_job_id.clone(), job)).collect();
    let (mut changes, mut unchanged, mut rejected) = (Vec::new(), 0, Vec::new());
    for DesiredJob { job, place } in desired {
        match change(client, job, present.get(&job.scheduled_job_id)).await {
            Ok(Some(change)) => changes.push(change),
            Ok(None) => unchanged += 1,
            Err(error) if error.code() == Code::InvalidArgument => {
                rejected.extend(error.field_violations().iter().map(|violation| {
                    let field = violation.field.replace("scheduled_job.", "");
                    format!("{place}: {field}: {}", violation.description)
                }));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if !rejected.is_empty() {
        return Err(Failure::Refused(format!("nothing was changed\n  {}", rejected.join("\n  "))));
    }
    if prune {
        changes.extend(deletions(desired, &present));
    }
    Ok((changes, unchanged))
}

/// `None` if the job is as desired.
async fn change(
    client: &Client,
    desired: &ScheduledJob,
    present: Option<&ScheduledJob>,
) -> Result<Option<Change>, Error> {
    let id = &desired.scheduled_job_id;
    let Some(present) = present else {
        let after = client.create_job(CreateJob::from(desired.clone()).validate_only()).await?;
        warn_about_schedule(Some(id), &after.warnings);
        let text = diff::text("create", id, None, Some(&after));
        return Ok(Some(Change { step: Step::Create(Box::new(desired.clone())), text }));
    };
    if present.deleted_at.is_some() {
        let text = diff::text("restore", id, Some(present), Some(desired));
        return Ok(Some(Change { step: Step::Undelete(Box::new(desired.clone())), text }));
    }
    let job = ScheduledJob { etag: present.etag.clone(), ..desired.clone() };
    let response = client.raw().update_scheduled_job(update(&job, true)).await?;
    let after = response.scheduled_job.unwrap_or_default();
    if diff::settings(Some(present)) == diff::settings(Some(&after)) {
        return Ok(None);
    }
    warn_about_schedule(Some(id), &after.warnings);
    let text = diff::text("update", id, Some(present), Some(&after));
    Ok(Some(Change { step: Step::Update(Box::new(job)), text }))
}

/// Deletions of the present jobs that are not desired.
fn deletions(desired: &[DesiredJob], present: &BTreeMap<String, ScheduledJob>) -> Vec<Change> {
    let is_desired = |id: &String| desired.iter().any(|it| it.job.scheduled_job_id == *id);
    let gone = present.iter().filter(|(id, job)| job.deleted_at.is_none() && !is_desired(id));
    gone.map(|(id, job)| Change {
        step: Step::Delete { scheduled_job_id: id.clone(), etag: job.etag.clone() },
        text: diff::text("delete", id, Some(job), None),
    })
    .collect()
}

impl Step {
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
