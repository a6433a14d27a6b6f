//! The outbox of runs' changes: appended by whoever writes a run, read per run by watches and in
//! order of commit by the hub.

use sqlx::PgConnection;
use sqlx::types::Json;

use super::StoreError;
use super::rows::RunState;
use crate::domain::run::Run;

/// Most events that one read returns.
pub const READ_LIMIT: i64 = 1_000;

/// A place in the order of commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeedPosition {
    xid: i64,
    id: i64,
}

/// A run that changed, and where the feed stands after it.
#[derive(Debug)]
pub struct FeedEntry {
    /// The run.
    pub job_id: String,
    /// Where to read on.
    pub position: FeedPosition,
}

/// Appends one event for each state.
pub(super) async fn events_append(
    conn: &mut PgConnection,
    states: &[RunState],
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into run_event (job_id, revision, status, run)
        select n ->> 'job_id', (n ->> 'revision')::bigint, n ->> 'status', n
        from jsonb_array_elements($1) n
        "#,
        Json(states) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The states of `run` after `revision`, in order. Revisions of a run grow under its lock, so what
/// one read leaves out comes later and never in between.
pub async fn events_after(
    conn: &mut PgConnection,
    run: &Run,
    revision: i64,
) -> Result<Vec<Run>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"
        select run as "run: Json<RunState>"
        from run_event
        where job_id = $1
            and revision > $2
        order by revision
        limit $3
        "#,
        run.id.as_str(),
        revision,
        READ_LIMIT,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|Json(state)| state.of(run)).collect()
}

/// Where the feed stands: every event before it is visible to whoever reads afterwards.
pub async fn feed_position(conn: &mut PgConnection) -> Result<FeedPosition, StoreError> {
    let xid = sqlx::query_scalar!(
        r#"select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as "xid!""#
    )
    .fetch_one(conn)
    .await?;
    Ok(FeedPosition { xid, id: 0 })
}

/// The changes after `position`, in order of commit. Leaves out what a transaction that still runs
/// might precede; that comes with a later read.
pub async fn feed_after(
    conn: &mut PgConnection,
    position: FeedPosition,
) -> Result<Vec<FeedEntry>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select id, xid::text::bigint as "xid!", job_id
        from run_event
        where (xid, id) > ($1::bigint::text::xid8, $2::bigint)
            and xid < pg_snapshot_xmin(pg_current_snapshot())
        order by xid, id
        limit $3
        "#,
        position.xid,
        position.id,
        READ_LIMIT,
    )
    .fetch_all(conn)
    .await?;
    let entry = |xid, id, job_id| FeedEntry { job_id, position: FeedPosition { xid, id } };
    Ok(rows.into_iter().map(|row| entry(row.xid, row.id, row.job_id)).collect())
}
