//! The outbox of one run, to which every write of a run appends: read by revision. [`super::feed`] reads the outbox
//! of all runs in the order of commit.

use std::sync::Arc;

use sqlx::PgConnection;
use sqlx::types::Json;

use super::StoreError;
use super::rows::StateRow;
use crate::domain::run::{Run, RunSpec};

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
