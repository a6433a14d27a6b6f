//! Scheduled jobs: made, looked at, changed, held, deleted.
//!
//! Every change first decides what is due under the old settings, under the schedule's lock.

mod status;

pub use self::status::HeldTicks;

use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};

use super::page::query_limit;
use super::{App, AppError, IdempotencyKey, Mode, Page, commit};
use crate::domain::id::ScheduledJobId;
use crate::domain::revision::Change;
use crate::domain::run::Run;
use crate::domain::scheduled_job::{
    History, ScheduleState, ScheduledJob, Settings, SettingsDraft, Status,
};
use crate::domain::tick;
use crate::domain::wanted::JobConditions;
use crate::store::revisions::{self, NewRevision};
use crate::store::runs;
use crate::store::scheduled_jobs::{self, JobFilter};

/// A wish for a scheduled job.
#[derive(Clone, Debug)]
pub struct NewScheduledJob {
    /// Chosen by the caller; else generated from the name.
    pub id: Option<ScheduledJobId>,
    pub draft: SettingsDraft,
    pub requested_by: String,
    /// Makes it safe to retry.
    pub request: Option<IdempotencyKey>,
}

/// A wish to change settings.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'a> {
    pub id: &'a ScheduledJobId,
    /// Refused unless it is the current one; an empty one fits any.
    pub etag: &'a str,
    pub changed_by: &'a str,
    pub mode: Mode,
}

/// Filters and position of a page of scheduled jobs.
#[derive(Clone, Debug)]
pub struct JobQuery {
    pub status: Option<Status>,
    pub show_deleted: bool,
    pub conditions: JobConditions,
    /// The last job on the previous page.
    pub after: Option<ScheduledJobId>,
    pub limit: i64,
}

/// A page of scheduled jobs, ordered by id.
#[derive(Clone, Debug)]
pub struct JobPage {
    pub jobs: Page<ScheduledJob>,
    /// Number of matching jobs on all pages.
    pub total: i64,
}

impl App {
    /// Makes an active scheduled job.
    pub async fn create_scheduled_job(
        &self,
        new: NewScheduledJob,
        mode: Mode,
    ) -> Result<ScheduledJob, AppError> {
        let settings = new.draft.check(&self.sources).map_err(AppError::Invalid)?;
        let id =
            new.id.unwrap_or_else(|| ScheduledJobId::from_name(&settings.name, rand::random()));
        let job = self.new_job(id, settings, self.now());
        let mut tx = self.begin().await?;
        if let Some(made) = find_idempotent_result(&mut tx, new.request.as_ref()).await? {
            return Ok(made);
        }
        if scheduled_jobs::scheduled_job_get(&mut tx, &job.id).await?.is_some() {
            return Err(AppError::ScheduledJobExists(job.id));
        }
        if mode == Mode::ValidateOnly {
            return Ok(job);
        }
        let job = insert_idempotent(&mut tx, job, &new.requested_by, new.request.as_ref()).await?;
        commit(tx).await?;
        self.signals.scheduler.notify_one();
        Ok(job)
    }

    /// One scheduled job, deleted ones included, its `limit` newest runs, and how many there are.
    pub async fn get_scheduled_job(
        &self,
        id: &ScheduledJobId,
        limit: i64,
    ) -> Result<(ScheduledJob, Vec<Run>, i64), AppError> {
        let mut tx = self.begin_snapshot().await?;
        let job = scheduled_jobs::scheduled_job_get(&mut tx, id).await?;
        let job = job.ok_or_else(|| AppError::ScheduledJobNotFound(id.clone()))?;
        let active = runs::runs_count_active(&mut tx, id).await?;
        let linked = runs::runs_count_linked_by_original(&mut tx, id).await?;
        let newest = runs::runs_newest_of(&mut tx, id, limit).await?;
        let total = job.history.run_count + active + linked;
        Ok((job, newest, total))
    }

    pub async fn list_scheduled_jobs(&self, query: JobQuery) -> Result<JobPage, AppError> {
        let mut conn = self.begin_snapshot().await?;
        let filter = JobFilter {
            status: query.status,
            show_deleted: query.show_deleted,
            conditions: query.conditions,
            after: query.after,
        };
        let limit = query_limit(query.limit);
        let rows = scheduled_jobs::scheduled_jobs_list(&mut conn, &filter, limit).await?;
        let total = scheduled_jobs::scheduled_jobs_count(&mut conn, &filter).await?;
        Ok(JobPage { jobs: Page::from_rows(rows, query.limit), total })
    }

    /// Changes settings by `change`. Nothing is written when nothing changes.
    pub async fn update_scheduled_job(
        &self,
        edit: Edit<'_>,
        change: &(dyn Fn(&mut SettingsDraft) + Send + Sync),
    ) -> Result<ScheduledJob, AppError> {
        let now = self.now();
        let (mut tx, job) = self.lock_undeleted(edit.id).await?;
        check_etag(&job, edit.etag)?;
        let mut draft = job.settings.draft();
        change(&mut draft);
        if draft == job.settings.draft() && job.problems.is_empty() {
            return Ok(job);
        }
        // Its source may be another server's; keeping it is no change.
        let mut sources = self.sources.clone();
        sources.names.extend(job.settings.parameters.source.clone());
        let settings = draft.check(&sources).map_err(AppError::Invalid)?;
        if edit.mode == Mode::ValidateOnly {
            return Ok(self.changed(job, settings, now));
        }
        let job = self.settle(&mut tx, job, tick::settle, now).await?;
        let job = self.changed(job, settings, now);
        scheduled_jobs::settings_write(&mut tx, &job).await?;
        let since = job.gate.watermark;
        write_revision(&mut tx, &job, since, Change::Updated, edit.changed_by).await?;
        self.commit_schedule(tx).await?;
        Ok(job)
    }

    async fn commit_schedule(&self, tx: Transaction<'static, Postgres>) -> Result<(), AppError> {
        commit(tx).await?;
        self.signals.scheduler.notify_one();
        // Settling may have made a run.
        self.ticks_fired();
        Ok(())
    }

    async fn lock(
        &self,
        id: &ScheduledJobId,
    ) -> Result<(Transaction<'static, Postgres>, ScheduledJob), AppError> {
        let mut tx = self.begin().await?;
        let job = scheduled_jobs::scheduled_job_lock(&mut tx, id).await?;
        let job = job.ok_or_else(|| AppError::ScheduledJobNotFound(id.clone()))?;
        Ok((tx, job))
    }

    pub(super) async fn lock_undeleted(
        &self,
        id: &ScheduledJobId,
    ) -> Result<(Transaction<'static, Postgres>, ScheduledJob), AppError> {
        let (tx, job) = self.lock(id).await?;
        match job.gate.deleted_at {
            Some(_) => Err(AppError::JobDeleted(job.id)),
            None => Ok((tx, job)),
        }
    }

    fn new_job(&self, id: ScheduledJobId, settings: Settings, now: DateTime<Utc>) -> ScheduledJob {
        let gate = ScheduleState::open(&self.timed(settings.schedule.clone()), now);
        ScheduledJob {
            id,
            settings,
            version: 1,
            created_at: now,
            updated_at: now,
            gate,
            history: History::default(),
            revision: 1,
            problems: Vec::new(),
        }
    }

    fn changed(&self, job: ScheduledJob, settings: Settings, now: DateTime<Utc>) -> ScheduledJob {
        let gate = job.gate.with_next_tick(&self.timed(settings.schedule.clone()));
        let (version, revision) = (job.version + 1, job.revision + 1);
        let problems = Vec::new();
        ScheduledJob { settings, gate, version, revision, problems, updated_at: now, ..job }
    }
}

fn check_etag(job: &ScheduledJob, etag: &str) -> Result<(), AppError> {
    let current = job.etag();
    if etag.is_empty() || etag == current {
        Ok(())
    } else {
        Err(AppError::EtagMismatch { current })
    }
}

async fn find_idempotent_result(
    tx: &mut Transaction<'static, Postgres>,
    request: Option<&IdempotencyKey>,
) -> Result<Option<ScheduledJob>, AppError> {
    let Some(key) = request else { return Ok(None) };
    let Some(made) = key.find_idempotent_result(tx).await? else { return Ok(None) };
    let Ok(id) = ScheduledJobId::parse(&made) else { return Err(AppError::JobNotFound(made)) };
    Ok(scheduled_jobs::scheduled_job_get(tx, &id).await?)
}

/// Writes the schedule of a changed job, whose settings are written, and the revision that it is since an
/// instant.
async fn write_revision(
    tx: &mut Transaction<'static, Postgres>,
    job: &ScheduledJob,
    valid_from: DateTime<Utc>,
    change: Change,
    changed_by: &str,
) -> Result<(), AppError> {
    scheduled_jobs::schedules_write(tx, std::slice::from_ref(job)).await?;
    keep_revision(tx, job, valid_from, change, changed_by).await
}

async fn keep_revision(
    tx: &mut Transaction<'static, Postgres>,
    job: &ScheduledJob,
    valid_from: DateTime<Utc>,
    change: Change,
    changed_by: &str,
) -> Result<(), AppError> {
    let scheduled_job_id = job.id.clone();
    let changed_by = changed_by.to_owned();
    let new = NewRevision { scheduled_job_id, valid_from, change, changed_by };
    Ok(revisions::revisions_insert(tx, &[new]).await?)
}

/// Inserts the job, unless a call with the same request id was faster: then its job is the answer.
async fn insert_idempotent(
    tx: &mut Transaction<'static, Postgres>,
    job: ScheduledJob,
    requested_by: &str,
    request: Option<&IdempotencyKey>,
) -> Result<ScheduledJob, AppError> {
    if let Some(key) = request
        && !key.claim(tx, job.id.as_str(), job.created_at).await?
        && let Some(made) = find_idempotent_result(tx, request).await?
    {
        return Ok(made);
    }
    match scheduled_jobs::settings_insert(tx, &job).await {
        Err(crate::store::StoreError::ScheduledJobExists) => {
            return Err(AppError::ScheduledJobExists(job.id));
        }
        other => other?,
    }
    scheduled_jobs::schedule_insert(tx, &job).await?;
    scheduled_jobs::history_insert(tx, &job.id).await?;
    keep_revision(tx, &job, job.created_at, Change::Created, requested_by).await?;
    Ok(job)
}
