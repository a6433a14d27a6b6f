//! Inserting runs: the run, its labels, its row in the queue while it has not ended, its event, and the key of the
//! request that creates it, in one statement.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use sqlx::{PgConnection, Row};

use super::write::{arrays, events, names};
use crate::domain::run::Run;
use crate::store::StoreError;
use crate::store::requests::RequestKey;
use crate::store::rows::{SpecRow, StateRow};

/// Waits for jobs that another transaction has locked, and for calls in progress that have the same request id.
static INSERT: LazyLock<String> = LazyLock::new(|| insert(""));
/// Leaves out the runs of jobs that another transaction has locked.
static INSERT_FREE: LazyLock<String> = LazyLock::new(|| insert("skip locked"));

fn insert(lock: &str) -> String {
    let columns = [SpecRow::COLUMNS, StateRow::COLUMNS].concat();
    let (names, arrays) = (names(&columns, ""), arrays(&columns, &INSERT_EXTRA_TYPES));
    format!(
        "with n as (
            select * from unnest({arrays}) as n ({names}, {INSERT_EXTRA})
        ),
        -- Locked against another revision, as of a deletion.
        job as (
            select scheduled_job_id, revision
            from scheduled_job
            where scheduled_job_id = any(array(
                select scheduled_job_id from n where job_revision is not null
            ))
            order by scheduled_job_id
            for share {lock}
        ),
        unchanged as (
            select *
            from n
            where job_revision is null
                -- Not a join: without statistics, each row would be compared with each job.
                or (scheduled_job_id, job_revision) in (select scheduled_job_id, revision from job)
        ),
        claimed as (
            insert into request (principal, method, request_id, payload_hash, made_id, created_at)
            select principal, method, request_id, payload_hash, job_id, created_at
            from unchanged
            where request_id is not null
            -- The same order in every transaction, so that they cannot deadlock.
            order by principal, method, request_id
            on conflict do nothing
            returning made_id
        ),
        new as (
            select *
            from unchanged
            where request_id is null or job_id in (select made_id from claimed)
        ),
        run as (
            insert into scraping_job ({names}, event_xid)
            select {names}, pg_current_xact_id()
            from new
        ),
        labelled as (
            insert into run_label (label, ended_as, created_at, job_id)
            select key || '=' || value, ended_as, created_at, job_id
            from
                new,
                jsonb_each_text(labels),
                unnest(case when status in ('failed', 'cancelled') then array['', status] else array[''] end) ended_as
        ),
        unfinished as ({UNFINISHED})
        insert into run_event (xid, job_id, revision, status, failed_locations, run)
        select pg_current_xact_id(), job_id, revision, status, jsonb_array_length(failed_locations), event
        from new
        returning job_id"
    )
}

/// The queue gets the new runs that have not ended.
const UNFINISHED: &str = "
            insert into unfinished_run (
                queue, source, rank_at, job_id, created_at, origin, tick_at, queued, deadline_at, status,
                available_at, worker_id
            )
            select
                coalesce(scheduled_job_id, ''), coalesce(parameters ->> 'source', ''), rank_at, job_id,
                created_at, origin, tick_at, queued, deadline_at, status, available_at, worker_id
            from new
            where completed_at is null";

/// The arrays beside the columns: events, the keys of requests, and the revisions of jobs.
const INSERT_EXTRA: &str = "event, principal, method, request_id, payload_hash, job_revision";
const INSERT_EXTRA_TYPES: [&str; 6] = ["jsonb", "text", "text", "text", "bytea", "bigint"];

/// A new run, and what has to hold for its insertion.
#[derive(Clone, Copy, Debug)]
pub struct NewRunRow<'a> {
    pub run: &'a Run,
    /// No earlier call has it.
    pub key: Option<RequestKey<'a>>,
    /// The current revision of the run's job. Not checked if absent.
    pub job_revision: Option<i64>,
}

/// Inserts new runs, whose jobs are locked, with their first events.
pub async fn runs_insert(conn: &mut PgConnection, runs: &[Run]) -> Result<(), StoreError> {
    let unchecked = |run| NewRunRow { run, key: None, job_revision: None };
    let runs: Vec<_> = runs.iter().map(unchecked).collect();
    runs_insert_once(conn, &runs).await?;
    Ok(())
}

/// Inserts new runs with their first events, and locks their jobs against changes. Leaves out runs whose job has
/// another revision, or whose request has an id that an earlier call has. Returns the ids of the inserted runs.
/// Waits for locks and for calls in progress.
pub async fn runs_insert_once(
    conn: &mut PgConnection,
    runs: &[NewRunRow<'_>],
) -> Result<BTreeSet<String>, StoreError> {
    insert_by(conn, INSERT.as_str(), runs).await
}

/// Like [`runs_insert_once`], but leaves out runs whose job another transaction has locked.
pub async fn runs_insert_free(
    conn: &mut PgConnection,
    runs: &[NewRunRow<'_>],
) -> Result<BTreeSet<String>, StoreError> {
    insert_by(conn, INSERT_FREE.as_str(), runs).await
}

async fn insert_by(
    conn: &mut PgConnection,
    statement: &'static str,
    runs: &[NewRunRow<'_>],
) -> Result<BTreeSet<String>, StoreError> {
    let specs: Vec<SpecRow> = runs.iter().map(|new| SpecRow::from(&*new.run.spec)).collect();
    let states: Vec<StateRow> = runs.iter().map(|new| StateRow::from(new.run)).collect();
    let text = |of: for<'a> fn(&RequestKey<'a>) -> &'a str| -> Vec<Option<&str>> {
        runs.iter().map(|new| new.key.as_ref().map(of)).collect()
    };
    let hashes: Vec<Option<&[u8]>> =
        runs.iter().map(|new| new.key.as_ref().map(|key| key.payload_hash)).collect();
    let revisions: Vec<Option<i64>> = runs.iter().map(|new| new.job_revision).collect();
    let query = SpecRow::bind_each(&specs, sqlx::query(statement));
    let query = StateRow::bind_each(&states, query).bind(events(&states)?);
    let query = query.bind(text(|key| key.principal)).bind(text(|key| key.method));
    let query = query.bind(text(|key| key.request_id)).bind(hashes).bind(revisions);
    let inserted = query.fetch_all(conn).await?;
    Ok(inserted.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}
