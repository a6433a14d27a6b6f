//! The outbox of one run: appended by every write of a run, read by revision. [`super::feed`] reads the outbox
//! of all runs in the order of commit.

use std::sync::Arc;

use serde_json::Value;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::StoreError;
use super::rows::StateRow;
use crate::domain::run::{Run, RunSpec};

/// Appends one event for each state. If this transaction began before the one that wrote the run's previous
/// event, the event takes that transaction's position in the order of commit, after the previous event.
pub(super) async fn events_append(
    conn: &mut PgConnection,
    states: &[StateRow],
) -> Result<(), StoreError> {
    let bodies: Vec<Value> = states.iter().map(StateRow::event_body).collect::<Result<_, _>>()?;
    sqlx::query!(
        r#"
        insert into run_event (xid, job_id, revision, status, failed_locations, run)
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
            n ->> 'job_id', (n ->> 'revision')::bigint, n ->> 'status',
            coalesce(jsonb_array_length(n -> 'failed_locations'), 0), n
        from jsonb_array_elements($1) n
        "#,
        Json(bodies) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The retained states of a run after `revision`, in order. Revisions of a run grow under its
/// lock, so events that one read misses always come later, never in between.
pub async fn events_after(
    conn: &mut PgConnection,
    spec: &Arc<RunSpec>,
    revision: i64,
    limit: i64,
) -> Result<Vec<Run>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"
        select run as "run: Json<StateRow>"
        from run_event
        where job_id = $1
            and revision > $2
        order by revision
        limit $3
        "#,
        spec.id.as_str(),
        revision,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let run =
        |Json(state): Json<StateRow>| Ok(Run { spec: Arc::clone(spec), state: state.read()? });
    rows.into_iter().map(run).collect()
}
