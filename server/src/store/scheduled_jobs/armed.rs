//! The schedules of active jobs, with the ticks for which they wait.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::store::StoreError;

/// What the next tick of an active job follows from.
#[derive(Clone, Debug)]
pub struct ArmedSchedule {
    pub scheduled_job_id: String,
    pub cron_expression: String,
    pub timezone: String,
    pub watermark: DateTime<Utc>,
    pub next_tick_at: Option<DateTime<Utc>>,
}

/// The active jobs with IDs after `after`, by ID; at most `limit`.
pub async fn schedules_armed(
    conn: &mut PgConnection,
    after: &str,
    limit: i64,
) -> Result<Vec<ArmedSchedule>, StoreError> {
    let rows = sqlx::query_as!(
        ArmedSchedule,
        r#"
        select j.scheduled_job_id, j.cron_expression, j.timezone, s.watermark, s.next_tick_at
        from scheduled_job j
        join scheduled_job_schedule s using (scheduled_job_id)
        where j.scheduled_job_id > $1
            and s.status = 'active'
            and s.deleted_at is null
        order by j.scheduled_job_id
        limit $2
        "#,
        after,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
