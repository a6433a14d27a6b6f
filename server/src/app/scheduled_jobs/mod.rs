//! Scheduled jobs: creating, reading, listing, updating, pausing and deleting them.
//!
//! Every change locks the schedule and first decides the ticks that are due under the old settings. Ticks
//! that come later are decided under the new ones.

mod status;

pub use self::status::HeldTicks;

use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};

use super::page::PageReader;
use super::{App, AppError, IdempotencyKey, Mode, Page, commit, run_log};
use crate::domain::filter::JobFilter;
use crate::domain::id::ScheduledJobId;
use crate::domain::revision::Change;
use crate::domain::run::Run;
use crate::domain::scheduled_job::{History, ScheduleState, ScheduledJob, Settings, SettingsDraft};
use crate::domain::tick;
use crate::store::Budget;
use crate::store::revisions::{self, NewRevision};
use crate::store::runs;
use crate::store::scheduled_jobs;

/// A request to create a scheduled job.
#[derive(Clone, Debug)]
pub struct NewScheduledJob {
    /// Generated from the name if absent.
    pub id: Option<ScheduledJobId>,
    pub draft: SettingsDraft,
    pub requested_by: String,
    pub idempotency_key: Option<IdempotencyKey>,
}

/// A request to change the settings of a scheduled job.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'a> {
    pub id: &'a ScheduledJobId,
    /// Must be the current etag, or empty to skip the check.
    pub etag: &'a str,
    pub changed_by: &'a str,
    pub mode: Mode,
}

/// Filters and position of a page of scheduled jobs.
#[derive(Clone, Debug)]
pub struct JobQuery {
    pub filter: JobFilter,
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
    /// Creates an active scheduled job.
    pub async fn create_scheduled_job(
        &self,
        new: NewScheduledJob,
        mode: Mode,
    ) -> Result<ScheduledJob, AppError> {
        let settings = new.draft.check(&self.sources).map_err(AppError::Invalid)?;
        let id =
            new.id.unwrap_or_else(|| ScheduledJobId::from_name(&settings.name, rand::random()));
        let job = new_job(id, settings, self.now());
        let mut tx = self.begin().await?;
        if let Some(job) = find_result(&mut tx, new.idempotency_key.as_ref()).await? {
            return Ok(job);
        }
        if scheduled_jobs::scheduled_job_get(&mut tx, &job.id).await?.is_some() {
            return Err(AppError::ScheduledJobExists(job.id));
        }
        if mode == Mode::ValidateOnly {
            return Ok(job);
        }
        let job = insert_idempotent(&mut tx, job, &new.requested_by, new.idempotency_key.as_ref())
            .await?;
        commit(tx).await?;
        self.signals.schedule_changed.notify_one();
        Ok(job)
    }

    /// A scheduled job, even if deleted, with up to `limit` of its newest runs, as many as fit into a message, and
    /// the total number of its runs.
    pub async fn get_scheduled_job(
        &self,
        id: &ScheduledJobId,
        limit: i64,
    ) -> Result<(ScheduledJob, Vec<Run>, i64), AppError> {
        let mut tx = self.begin_snapshot().await?;
        let job = scheduled_jobs::scheduled_job_get(&mut tx, id).await?;
        let job = job.ok_or_else(|| AppError::ScheduledJobNotFound(id.clone()))?;
        let beyond = runs::runs_count_beyond_history(&mut tx, id).await?;
        let linked = runs::runs_count_linked_by_original(&mut tx, id).await?;
        let budget = &mut Budget::beside(&job);
        let newest = runs::runs_newest_of(&mut tx, id, limit, budget).await?;
        let total = job.history.run_count + beyond + linked;
        Ok((job, newest, total))
    }

    pub async fn list_scheduled_jobs(&self, query: JobQuery) -> Result<JobPage, AppError> {
        let mut conn = self.begin_snapshot().await?;
        let JobQuery { filter, after, limit } = query;
        let mut page = PageReader::new(limit);
        while let Some(rows) = page.rows() {
            let last = page.last().map(|job: &ScheduledJob| job.id.clone());
            let (after, budget) = (last.as_ref().or(after.as_ref()), &mut page.budget);
            let found =
                scheduled_jobs::scheduled_jobs_list(&mut conn, &filter, after, rows, budget)
                    .await?;
            page.add(rows, found);
        }
        let total = scheduled_jobs::scheduled_jobs_count(&mut conn, &filter).await?;
        Ok(JobPage { jobs: page.page(), total })
    }

    /// Applies `change` to the settings. If that changes nothing, nothing is written.
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
        let is_unchanged = draft == job.settings.draft() && job.problems.is_empty();
        if is_unchanged && !job.gate.is_ahead(now) {
            return Ok(job);
        }
        // The current source is accepted even if only another server has it.
        let mut sources = self.sources.clone();
        sources.names.extend(job.settings.parameters.source.clone());
        let settings = draft.check(&sources).map_err(AppError::Invalid)?;
        if edit.mode == Mode::ValidateOnly {
            return Ok(changed(job, settings, now));
        }
        let (job, cancelled) =
            self.decide_up_to_now(&mut tx, job, tick::decide_up_to_now, now).await?;
        let job = changed(job, settings, now);
        scheduled_jobs::settings_write(&mut tx, &job).await?;
        let since = job.gate.watermark;
        write_schedule_and_revision(&mut tx, &job, since, Change::Updated, edit.changed_by).await?;
        self.commit_schedule(tx, &cancelled).await?;
        Ok(job)
    }

    /// Commits a change of a schedule. `cancelled` are the runs that the decided ticks have cancelled.
    async fn commit_schedule(
        &self,
        tx: Transaction<'static, Postgres>,
        cancelled: &[Run],
    ) -> Result<(), AppError> {
        commit(tx).await?;
        run_log::log_changed(cancelled);
        self.signals.schedule_changed.notify_one();
        // Deciding the due ticks may have created a run.
        self.ticks_committed();
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
}

fn new_job(id: ScheduledJobId, settings: Settings, now: DateTime<Utc>) -> ScheduledJob {
    let gate = ScheduleState::open(&settings.schedule, now);
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

fn changed(job: ScheduledJob, settings: Settings, now: DateTime<Utc>) -> ScheduledJob {
    let gate = job.gate.with_next_tick(&settings.schedule);
    let (version, revision) = (job.version + 1, job.revision + 1);
    let problems = Vec::new();
    ScheduledJob { settings, gate, version, revision, problems, updated_at: now, ..job }
}

fn check_etag(job: &ScheduledJob, etag: &str) -> Result<(), AppError> {
    let current = job.etag();
    if etag.is_empty() || etag == current {
        Ok(())
    } else {
        Err(AppError::EtagMismatch { current })
    }
}

async fn find_result(
    tx: &mut Transaction<'static, Postgres>,
    key: Option<&IdempotencyKey>,
) -> Result<Option<ScheduledJob>, AppError> {
    let Some(key) = key else { return Ok(None) };
    let Some(id) = key.find_result(tx).await? else { return Ok(None) };
    let Ok(id) = ScheduledJobId::parse(&id) else { return Err(AppError::JobNotFound(id)) };
    Ok(scheduled_jobs::scheduled_job_get(tx, &id).await?)
}

/// Writes the schedule of a changed job, and the revision that is valid from an instant on. The settings must
/// be written before, because the revision is copied from them.
async fn write_schedule_and_revision(
    tx: &mut Transaction<'static, Postgres>,
    job: &ScheduledJob,
    valid_from: DateTime<Utc>,
    change: Change,
    changed_by: &str,
) -> Result<(), AppError> {
    scheduled_jobs::schedules_write(tx, std::slice::from_ref(job)).await?;
    insert_revision(tx, job, valid_from, change, changed_by).await
}

async fn insert_revision(
    tx: &mut Transaction<'static, Postgres>,
    job: &ScheduledJob,
    valid_from: DateTime<Utc>,
    change: Change,
    changed_by: &str,
) -> Result<(), AppError> {
    let (scheduled_job_id, number) = (job.id.clone(), job.revision);
    let changed_by = changed_by.to_owned();
    let new = NewRevision { scheduled_job_id, number, valid_from, change, changed_by };
    Ok(revisions::revisions_insert(tx, &[new]).await?)
}

/// Inserts the job. If a concurrent call with the same key was faster, returns its job instead.
async fn insert_idempotent(
    tx: &mut Transaction<'static, Postgres>,
    job: ScheduledJob,
    requested_by: &str,
    key: Option<&IdempotencyKey>,
) -> Result<ScheduledJob, AppError> {
    if let Some(key) = key
        && !key.claim(tx, job.id.as_str(), job.created_at).await?
        && let Some(existing) = find_result(tx, Some(key)).await?
    {
        return Ok(existing);
    }
    match scheduled_jobs::settings_insert(tx, &job).await {
        Err(crate::store::StoreError::ScheduledJobExists) => {
            return Err(AppError::ScheduledJobExists(job.id));
        }
        other => other?,
    }
    scheduled_jobs::schedule_insert(tx, &job).await?;
    scheduled_jobs::history_insert(tx, &job.id).await?;
    insert_revision(tx, &job, job.created_at, Change::Created, requested_by).await?;
    Ok(job)
}
