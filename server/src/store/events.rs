//! The outbox of one run, to which every write of a run appends: read by revision. [`super::feed`] reads the outbox
//! of all runs in the order of commit.

use std::sync::Arc;

use futures::TryStreamExt;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::rows::StateRow;
use super::{Budget, StoreError, runs};
use crate::domain::run::{Progress, Run, RunSpec};

/// The retained states of a run after `revision`, in order, up to a budget. Revisions of a run grow under its
/// lock, so events that one read misses always come later, never in between.
pub async fn events_after(
    conn: &mut PgConnection,
    spec: &Arc<RunSpec>,
    revision: i64,
    limit: i64,
    budget: &mut Budget,
) -> Result<Vec<Run>, StoreError> {
    let now = progress_get(conn, spec).await?;
    let rows = sqlx::query!(
        r#"
        select run as "run: Json<StateRow>", failed_locations
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
    .fetch(conn);
    let read = |(Json(state), failed): (Json<StateRow>, i32)| {
        let state = state.read_event(failed, &now)?;
        Ok(Run { spec: Arc::clone(spec), state })
    };
    budget.collect(rows.map_ok(|row| (row.run, row.failed_locations)), read).await
}

async fn progress_get(conn: &mut PgConnection, spec: &RunSpec) -> Result<Progress, StoreError> {
    let run = runs::run_get(conn, &spec.id).await?;
    Ok(run.map(|run| run.state.progress).unwrap_or_default())
}
