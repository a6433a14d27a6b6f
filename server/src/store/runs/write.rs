//! Writing runs that have changed: the run, its row in the queue, its event, and, if it has ended, its labels and the
//! history of its job, in one statement, so that they never disagree.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;
use sqlx::types::Json;
use sqlx::{PgConnection, Row};

use crate::domain::run::Run;
use crate::store::StoreError;
use crate::store::rows::{Column, StateRow};

/// For runs that this transaction has locked.
static UPDATE: LazyLock<String> = LazyLock::new(|| update("n", ""));
/// Leaves out runs that another transaction has locked or changed.
static UPDATE_FREE: LazyLock<String> = LazyLock::new(|| {
    update(
        "free",
        "free as (
            select n.*
            from n
            join scraping_job r on r.job_id = n.job_id and r.revision = n.revision - 1
            for no key update of r skip locked
        ),",
    )
});

/// The statement for the runs of `source`, which `lock` defines.
///
/// If this transaction began before the one that wrote the run's previous event, the event takes that
/// transaction's position in the order of commit, after the previous event. A position that no transaction has
/// reached yet is from before a restore of the database.
fn update(source: &str, lock: &str) -> String {
    let columns = StateRow::COLUMNS;
    let arrays = arrays(columns, &["jsonb"]);
    let (names, new) = (names(columns, ""), columns.iter().map(|(name, _)| new_value(name)));
    let new = new.collect::<Vec<_>>().join(", ");
    format!(
        "with n as (
            select * from unnest({arrays}) as n ({names}, event)
        ),
        {lock}
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
            from {source} n
            where r.job_id = n.job_id
                and r.revision = n.revision - 1
            returning
                r.event_xid, r.job_id, r.revision, r.status, r.failed_locations, n.event, r.started_at,
                r.completed_at, r.available_at, r.worker_id, r.rank_at, coalesce(r.source, '') as source,
                coalesce(r.scheduled_job_id, '') as queue, r.labels, r.created_at
        ),
        {QUEUE},
        {LABELS},
        {HISTORY}
        insert into run_event (xid, job_id, revision, status, failed_locations, run)
        select event_xid, job_id, revision, status, jsonb_array_length(failed_locations), event
        from run
        returning job_id"
    )
}

/// A lease may have been extended since the run was read.
fn new_value(column: &str) -> String {
    match column {
        "lease_expires_at" => "case
                    when n.lease_expires_at is not null
                    then least(greatest(n.lease_expires_at, r.lease_expires_at), n.lease_latest_at)
                end"
        .to_owned(),
        _ => format!("n.{column}"),
    }
}

/// Runs that have ended leave the queue.
const QUEUE: &str = "
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
        )";

/// Lists find failed and cancelled runs by a label and their status.
const LABELS: &str = "
        labelled as (
            insert into run_label (label, ended_as, created_at, job_id)
            select key || '=' || value, status, created_at, job_id
            from run, jsonb_each_text(labels)
            where status in ('failed', 'cancelled')
        )";

/// Runs that have ended are counted in the history of their job, and the last of them is its last run.
const HISTORY: &str = "
        last_of_job as (
            select distinct on (queue)
                queue, job_id, status, completed_at,
                coalesce(started_at, completed_at) as run_at,
                count(*) over (partition by queue) as count
            from run
            where completed_at is not null
                and queue <> ''
            order by queue, completed_at desc, job_id desc
        ),
        locked as (
            select l.*
            from last_of_job l
            join scheduled_job_history h on h.scheduled_job_id = l.queue
            -- The same order in every transaction, so that they cannot deadlock.
            order by l.queue
            for no key update of h
        ),
        history as (
            update scheduled_job_history h
            set
                run_count = h.run_count + l.count,
                (last_run_at, last_run_status, last_run_job_id, last_ended_at) = row(
                    case when h.last_ended_at > l.completed_at then h.last_run_at else l.run_at end,
                    case when h.last_ended_at > l.completed_at then h.last_run_status else l.status end,
                    case when h.last_ended_at > l.completed_at then h.last_run_job_id else l.job_id end,
                    greatest(h.last_ended_at, l.completed_at)
                )
            from locked l
            where h.scheduled_job_id = l.queue
        )";

/// The names of columns, each after a prefix.
pub(super) fn names(columns: &[Column], prefix: &str) -> String {
    let names: Vec<String> = columns.iter().map(|(name, _)| format!("{prefix}{name}")).collect();
    names.join(", ")
}

/// One parameter for each column, and then for each of the other types.
pub(super) fn arrays(columns: &[Column], extra: &[&str]) -> String {
    let types = columns.iter().map(|(_, sql)| sql).chain(extra);
    let arrays: Vec<String> =
        types.enumerate().map(|(index, sql)| format!("${}::{sql}[]", index + 1)).collect();
    arrays.join(", ")
}

pub(super) fn events(states: &[StateRow]) -> Result<Vec<Json<Value>>, StoreError> {
    states.iter().map(|state| state.event_body().map(Json)).collect()
}

/// Writes runs that `Run::apply` has changed and this transaction has locked, with their events. Fails with
/// [`StoreError::Stale`] if one of them is no longer at the revision before. Every change of a run's state goes
/// through here or [`runs_write_free`].
pub async fn runs_write(conn: &mut PgConnection, runs: &[Run]) -> Result<(), StoreError> {
    let written = write_by(conn, UPDATE.as_str(), runs).await?;
    if written.len() == runs.len() { Ok(()) } else { Err(StoreError::Stale) }
}

/// Like [`runs_write`], but for runs that were read without locking them. Leaves out those that another transaction
/// has locked or changed. Returns the ids of the others.
pub async fn runs_write_free(
    conn: &mut PgConnection,
    runs: &[Run],
) -> Result<BTreeSet<String>, StoreError> {
    write_by(conn, UPDATE_FREE.as_str(), runs).await
}

async fn write_by(
    conn: &mut PgConnection,
    statement: &'static str,
    runs: &[Run],
) -> Result<BTreeSet<String>, StoreError> {
    if runs.is_empty() {
        return Ok(BTreeSet::new());
    }
    let states: Vec<StateRow> = runs.iter().map(StateRow::from).collect();
    let query = StateRow::bind_each(&states, sqlx::query(statement)).bind(events(&states)?);
    let written = query.fetch_all(conn).await?;
    Ok(written.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}
