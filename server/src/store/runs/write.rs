//! Writing runs: the run, its labels, its row in the queue while it has not ended, its event, and the key of the
//! request that creates it, in one statement.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;
use sqlx::types::Json;
use sqlx::{PgConnection, Row};

use crate::domain::run::Run;
use crate::store::StoreError;
use crate::store::requests::RequestKey;
use crate::store::rows::{Column, SpecRow, StateRow};

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
            select n.*
            from n
            left join job using (scheduled_job_id)
            where n.job_revision is null or n.job_revision = job.revision
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
            insert into run_label (label, created_at, job_id)
            select key || '=' || value, created_at, job_id
            from new, jsonb_each_text(labels)
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

/// If this transaction began before the one that wrote the run's previous event, the event takes that
/// transaction's position in the order of commit, after the previous event. A position that no transaction has
/// reached yet is from before a restore of the database.
static UPDATE: LazyLock<String> = LazyLock::new(|| {
    let columns = StateRow::COLUMNS;
    let arrays = arrays(columns, &["jsonb"]);
    let (names, new) = (names(columns, ""), names(columns, "n."));
    format!(
        "with n as (
            select * from unnest({arrays}) as n ({names}, event)
        ),
        run as (
            update scraping_job r
            set ({names}, event_xid) = row(
                {new},
                case
                    when r.event_xid < pg_snapshot_xmax(pg_current_snapshot())
                    then greatest(r.event_xid, pg_current_xact_id())
                    else pg_current_xact_id()
                end
            )
            from n
            where r.job_id = n.job_id
                and r.revision = n.revision - 1
            returning
                r.event_xid, r.job_id, r.revision, r.status, r.failed_locations, n.event, r.completed_at,
                r.available_at, r.worker_id, r.rank_at, coalesce(r.source, '') as source,
                coalesce(r.scheduled_job_id, '') as queue
        ),
        unfinished as (
            update unfinished_run u
            set status = run.status, available_at = run.available_at, worker_id = run.worker_id
            from run
            where (u.queue, u.source, u.rank_at, u.job_id)
                    = (run.queue, run.source, run.rank_at, run.job_id)
                and u.status <> run.status
                and run.completed_at is null
        ),
        ended as (
            delete from unfinished_run u
            using run
            where (u.queue, u.source, u.rank_at, u.job_id)
                    = (run.queue, run.source, run.rank_at, run.job_id)
                and run.completed_at is not null
        )
        insert into run_event (xid, job_id, revision, status, failed_locations, run)
        select event_xid, job_id, revision, status, jsonb_array_length(failed_locations), event
        from run"
    )
});

/// The names of columns, each after a prefix.
fn names(columns: &[Column], prefix: &str) -> String {
    let names: Vec<String> = columns.iter().map(|(name, _)| format!("{prefix}{name}")).collect();
    names.join(", ")
}

/// One parameter for each column, and then for each of the other types.
fn arrays(columns: &[Column], extra: &[&str]) -> String {
    let types = columns.iter().map(|(_, sql)| sql).chain(extra);
    let arrays: Vec<String> =
        types.enumerate().map(|(index, sql)| format!("${}::{sql}[]", index + 1)).collect();
    arrays.join(", ")
}

fn events(states: &[StateRow]) -> Result<Vec<Json<Value>>, StoreError> {
    states.iter().map(|state| state.event_body().map(Json)).collect()
}

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

/// Writes runs that `Run::apply` has changed, with their events. Fails with [`StoreError::Stale`] if one of them
/// is no longer at the revision before.
pub async fn runs_write(conn: &mut PgConnection, runs: &[Run]) -> Result<(), StoreError> {
    let states: Vec<StateRow> = runs.iter().map(StateRow::from).collect();
    let query = StateRow::bind_each(&states, sqlx::query(UPDATE.as_str()));
    let written = query.bind(events(&states)?).execute(conn).await?.rows_affected();
    if usize::try_from(written).ok() != Some(runs.len()) {
        return Err(StoreError::Stale);
    }
    Ok(())
}
