//! The outbox, run by run: appended by whoever writes a run, read by revision. In the order of commit
//! it is read in [`super::feed`].

use sqlx::PgConnection;
use sqlx::types::Json;

use super::StoreError;
use super::rows::RunState;
use crate::domain::run::Run;

/// Appends one event for each state. A transaction may have begun before the one that made the run's state
/// before; then the event takes the other's place in the order of commit, after it.
pub(super) async fn events_append(
    conn: &mut PgConnection,
    states: &[RunState],
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        insert into run_event (xid, job_id, revision, status, run)
        select
            greatest(
                pg_current_xact_id(),
                -- Not a join: that may read the whole table, as long as its size is not known.
                (
                    select p.xid
                    from run_event p
                    where p.job_id = n ->> 'job_id'
                        and p.revision = (n ->> 'revision')::bigint - 1
                        and p.id > (select first_id from feed)
                )
            ),
            n ->> 'job_id', (n ->> 'revision')::bigint, n ->> 'status', n
        from jsonb_array_elements($1) n
        "#,
        Json(states) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The states of `run` after `revision` that are kept, in order. Revisions of a run grow under its
/// lock, so what one read leaves out comes later and never in between.
pub async fn events_after(
    conn: &mut PgConnection,
    run: &Run,
    revision: i64,
    limit: i64,
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
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|Json(state)| state.of(run)).collect()
}
