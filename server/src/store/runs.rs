//! Runs. [`runs_write`] is the only statement that changes a run's state, and every insert and every
//! change appends its event in the same transaction.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::conditions::{LabelArrays, words};
use super::parameters::ParametersRow;
use super::rows::{FailedLocationRow, RunRow, RunState};
use super::{StoreError, events};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::labels::Labels;
use crate::domain::run::{Origin, Priority, Run, Status};
use crate::domain::wanted::RunConditions;

/// Totals are exact up to here.
pub const COUNT_LIMIT: i64 = 10_000;

/// Selects whole runs; the first argument is what follows `from scraping_job`.
macro_rules! select_runs {
    ($tail:literal $(+ $more:literal)* $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            RunRow,
            r#"
            select
                job_id, scheduled_job_id, original_job_id, origin, status, priority, rank_at,
                parameters as "parameters: Json<ParametersRow>", requested_by,
                labels as "labels: Json<Labels>", tick_at, created_at, available_at, started_at, completed_at, cancel_requested_at,
                properties_scraped, properties_saved, properties_updated, properties_skipped,
                properties_duplicate, total_locations, completed_locations,
                failed_locations as "failed_locations: Json<Vec<FailedLocationRow>>",
                attempt, max_attempts, error_message, revision, worker_id, lease_expires_at
            from scraping_job
            "# + $tail $(+ $more)*
            $(, $argument)*
        )
    };
}

/// Inserts new runs with their first events.
pub async fn runs_insert(conn: &mut PgConnection, runs: &[Run]) -> Result<(), StoreError> {
    let rows: Vec<RunRow> = runs.iter().map(RunRow::from).collect();
    sqlx::query!(
        r#"
        insert into scraping_job (
            job_id, scheduled_job_id, original_job_id, origin, status, priority, rank_at,
            parameters, requested_by, labels, tick_at, created_at, available_at, started_at,
            completed_at, cancel_requested_at, properties_scraped, properties_saved,
            properties_updated, properties_skipped, properties_duplicate, total_locations, completed_locations,
            failed_locations, attempt, max_attempts, error_message, revision, worker_id,
            lease_expires_at
        )
        select
            job_id, scheduled_job_id, original_job_id, origin, status, priority, rank_at,
            parameters, requested_by, labels, tick_at, created_at, available_at, started_at,
            completed_at, cancel_requested_at, properties_scraped, properties_saved,
            properties_updated, properties_skipped, properties_duplicate, total_locations, completed_locations,
            failed_locations, attempt, max_attempts, error_message, revision, worker_id,
            lease_expires_at
        from jsonb_populate_recordset(null::scraping_job, $1)
        "#,
        Json(&rows) as _,
    )
    .execute(&mut *conn)
    .await?;
    let states: Vec<RunState> = runs.iter().map(RunState::from).collect();
    events::events_append(conn, &states).await
}

/// Writes runs that `Run::apply` has changed, with their events. [`StoreError::Stale`] when one of
/// them is not at the revision before.
pub async fn runs_write(conn: &mut PgConnection, runs: &[Run]) -> Result<(), StoreError> {
    let states: Vec<RunState> = runs.iter().map(RunState::from).collect();
    let written = sqlx::query!(
        r#"
        update scraping_job r
        set
            status = n.status,
            available_at = n.available_at,
            started_at = n.started_at,
            completed_at = n.completed_at,
            cancel_requested_at = n.cancel_requested_at,
            properties_scraped = n.properties_scraped,
            properties_saved = n.properties_saved,
            properties_updated = n.properties_updated,
            properties_skipped = n.properties_skipped,
            properties_duplicate = n.properties_duplicate,
            total_locations = n.total_locations,
            completed_locations = n.completed_locations,
            failed_locations = n.failed_locations,
            attempt = n.attempt,
            max_attempts = n.max_attempts,
            error_message = n.error_message,
            revision = n.revision,
            worker_id = n.worker_id,
            lease_expires_at = n.lease_expires_at
        from jsonb_populate_recordset(null::scraping_job, $1) n
        where r.job_id = n.job_id
            and r.revision = n.revision - 1
        "#,
        Json(&states) as _,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if usize::try_from(written).ok() != Some(runs.len()) {
        return Err(StoreError::Stale);
    }
    events::events_append(conn, &states).await
}

/// One run.
pub async fn run_get(conn: &mut PgConnection, id: &RunId) -> Result<Option<Run>, StoreError> {
    let row = select_runs!("where job_id = $1", id.as_str()).fetch_optional(conn).await?;
    row.map(Run::try_from).transpose()
}

/// Locks runs in the order of their ids, and returns those that exist.
pub async fn runs_lock(conn: &mut PgConnection, ids: &[RunId]) -> Result<Vec<Run>, StoreError> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let rows = select_runs!("where job_id = any($1) order by job_id for update", &ids)
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// Locks the first pending runs in the order of work whose source is one of `sources`, passing over
/// runs that somebody else has locked.
pub async fn runs_lock_ready(
    conn: &mut PgConnection,
    sources: &BTreeSet<String>,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Run>, StoreError> {
    let sources: Vec<String> = sources.iter().cloned().collect();
    let rows = select_runs!(
        r#"
        where status = 'pending'
            and available_at <= $1
            and parameters ->> 'source' = any($2)
        order by rank_at, job_id
        limit $3
        for update skip locked
        "#,
        now,
        &sources,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// Locks running runs whose lease has expired, passing over locked ones.
pub async fn runs_lock_expired(
    conn: &mut PgConnection,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Run>, StoreError> {
    let rows = select_runs!(
        r#"
        where status = 'running'
            and lease_expires_at <= $1
        order by lease_expires_at
        limit $2
        for update skip locked
        "#,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// Locks the pending runs of a scheduled job in the order of their ids.
pub async fn runs_lock_pending_of(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
) -> Result<Vec<Run>, StoreError> {
    let rows = select_runs!(
        "where scheduled_job_id = $1 and status = 'pending' order by job_id for update",
        job.as_str(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// The newest runs of a scheduled job, and those triggered from it by `original_job_id`.
pub async fn runs_newest_of(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
    limit: i64,
) -> Result<Vec<Run>, StoreError> {
    let rows = select_runs!(
        r#"
        where scheduled_job_id = $1
            or original_job_id = $1
        order by created_at desc, job_id desc
        limit $2
        "#,
        job.as_str(),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// When the last run of a job began that read these parameters completely, without a failed location.
pub async fn run_complete_started(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
    parameters: &Value,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let started = sqlx::query_scalar!(
        r#"
        select started_at as "started_at!"
        from scraping_job
        where scheduled_job_id = $1
            and status = 'completed'
            and started_at is not null
            and failed_locations = '[]'
            and parameters - 'full_scrape' - 'request_delay' = $2
        order by completed_at desc
        limit 1
        "#,
        job.as_str(),
        parameters,
    )
    .fetch_optional(conn)
    .await?;
    Ok(started)
}

/// How many runs of a scheduled job have not ended.
pub async fn runs_count_active(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"
        select count(*) as "count!"
        from scraping_job
        where scheduled_job_id = $1
            and status in ('pending', 'running')
        "#,
        job.as_str(),
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// How many runs only `original_job_id` links to a scheduled job, as imported ones may be.
pub async fn runs_count_linked_by_original(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"
        select count(*) as "count!"
        from scraping_job
        where original_job_id = $1
            and scheduled_job_id is distinct from $1
        "#,
        job.as_str(),
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// Which runs a list is about, and where its page begins.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only of this scheduled job.
    pub scheduled_job_id: Option<ScheduledJobId>,
    /// Only in this state.
    pub status: Option<Status>,
    /// What else is asked of them.
    pub conditions: RunConditions,
    /// Only older than this one.
    pub after: Option<(DateTime<Utc>, RunId)>,
}

/// Counts runs; the arguments are those of `select_runs`.
macro_rules! count_runs {
    ($tail:literal $(+ $more:literal)* $(, $argument:expr)* $(,)?) => {
        sqlx::query_scalar!(
            r#"select count(*) as "count!" from (select 1 from scraping_job "#
                + $tail $(+ $more)* + ") matching"
            $(, $argument)*
        )
    };
}

/// Selects or counts the runs that a filter matches, from where its page begins.
macro_rules! matching_runs {
    ($select:ident, $order:literal, $filter:expr, $after:expr, $limit:expr) => {{
        let RunFilter { conditions, .. } = $filter;
        let (after_at, after_id) = $after.unzip();
        let labels = LabelArrays::of(&conditions.labels);
        $select!(
            r#"
            where ($1::text is null or scheduled_job_id = $1)
                and ($2::text is null or status = $2)
                and ($3::timestamptz is null or (created_at, job_id) < ($3, $4::text))
                and ($5::text[] is null or status = any($5))
                and ($6::text[] is null or origin = any($6))
                and ($7::text[] is null or priority = any($7))
                and ($8::text is null or scheduled_job_id = $8)
                and ($9::text is null or parameters ->> 'source' = $9)
                and ($10::timestamptz is null or created_at >= $10)
                and ($11::timestamptz is null or created_at < $11)
                and ($12::jsonb is null or (labels <> '{}' and labels @> $12))
                and ($13::text[] is null or (labels <> '{}' and labels ?& $13))
                and ($14::text[] is null or not labels ?| $14)
                and ($15::jsonb[] is null or not labels @> any($15))
            "# + $order
                + " limit $16",
            $filter.scheduled_job_id.as_ref().map(ScheduledJobId::as_str),
            $filter.status.map(Status::word),
            after_at,
            after_id.as_ref().map(RunId::as_str),
            words(conditions.status.as_deref(), Status::word) as _,
            words(conditions.origin.as_deref(), Origin::word) as _,
            words(conditions.priority.as_deref(), Priority::word) as _,
            conditions.scheduled_job_id.as_ref().map(ScheduledJobId::as_str),
            conditions.source.as_deref(),
            conditions.created.from,
            conditions.created.until,
            labels.equal as _,
            labels.have as _,
            labels.lack as _,
            labels.differ as _,
            $limit,
        )
    }};
}

/// A page of runs, newest first.
pub async fn runs_list(
    conn: &mut PgConnection,
    filter: &RunFilter,
    limit: i64,
) -> Result<Vec<Run>, StoreError> {
    let after = filter.after.clone();
    let rows =
        matching_runs!(select_runs, "order by created_at desc, job_id desc", filter, after, limit)
            .fetch_all(conn)
            .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// How many runs match on all pages, counted up to one more than [`COUNT_LIMIT`].
pub async fn runs_count(conn: &mut PgConnection, filter: &RunFilter) -> Result<i64, StoreError> {
    let first: Option<(DateTime<Utc>, RunId)> = None;
    let count = matching_runs!(count_runs, "", filter, first, COUNT_LIMIT + 1);
    Ok(count.fetch_one(conn).await?)
}
