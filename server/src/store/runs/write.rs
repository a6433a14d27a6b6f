//! Writing runs: the run, its row in the queue while it has not ended, and its event, in one statement.

use std::sync::LazyLock;

use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::domain::run::Run;
use crate::store::StoreError;
use crate::store::rows::{Column, SpecRow, StateRow};

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let columns = [SpecRow::COLUMNS, StateRow::COLUMNS].concat();
    let (names, arrays) = (names(&columns, ""), arrays(&columns));
    format!(
        "with n as (
            select * from unnest({arrays}) as n ({names}, event)
        ),
        run as (
            insert into scraping_job ({names}, event_xid)
            select {names}, pg_current_xact_id()
            from n
        ),
        unfinished as (
            insert into unfinished_run (
                queue, source, rank_at, job_id, created_at, origin, tick_at, queued, deadline_at, status,
                available_at, worker_id
            )
            select
                coalesce(scheduled_job_id, ''), coalesce(parameters ->> 'source', ''), rank_at, job_id,
                created_at, origin, tick_at, queued, deadline_at, status, available_at, worker_id
            from n
            where completed_at is null
        )
        insert into run_event (xid, job_id, revision, status, failed_locations, run)
        select pg_current_xact_id(), job_id, revision, status, jsonb_array_length(failed_locations), event
        from n"
    )
});

/// If this transaction began before the one that wrote the run's previous event, the event takes that
/// transaction's position in the order of commit, after the previous event. A position that no transaction has
/// reached yet is from before a restore of the database.
static UPDATE: LazyLock<String> = LazyLock::new(|| {
    let columns = StateRow::COLUMNS;
    let arrays = arrays(columns);
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

/// One parameter for each column, and one for the events.
fn arrays(columns: &[Column]) -> String {
    let types = columns.iter().map(|(_, sql)| *sql).chain(["jsonb"]);
    let arrays: Vec<String> =
        types.enumerate().map(|(index, sql)| format!("${}::{sql}[]", index + 1)).collect();
    arrays.join(", ")
}

fn events(states: &[StateRow]) -> Result<Vec<Json<Value>>, StoreError> {
    states.iter().map(|state| state.event_body().map(Json)).collect()
}

/// Inserts new runs with their first events.
pub async fn runs_insert(conn: &mut PgConnection, runs: &[Run]) -> Result<(), StoreError> {
    let specs: Vec<SpecRow> = runs.iter().map(|run| SpecRow::from(&*run.spec)).collect();
    let states: Vec<StateRow> = runs.iter().map(StateRow::from).collect();
    let query = SpecRow::bind_each(&specs, sqlx::query(INSERT.as_str()));
    StateRow::bind_each(&states, query).bind(events(&states)?).execute(conn).await?;
    Ok(())
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
