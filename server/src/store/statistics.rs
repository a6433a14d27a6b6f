//! Statistics of the runs of a scheduled job.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;
use crate::domain::id::ScheduledJobId;

/// Runs that ended in a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndedRuns {
    pub completed: i64,
    pub failed: i64,
    pub cancelled: i64,
    pub scraped: i64,
    /// Properties that the runs inserted or updated.
    pub saved: i64,
    /// Durations of completed runs; `None` without any.
    pub durations: Option<Durations>,
}

/// Durations of completed runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durations {
    pub average: Duration,
    /// 50th percentile.
    pub p50: Duration,
    /// 95th percentile.
    pub p95: Duration,
}

/// The runs of a job that ended after `since`.
pub async fn runs_ended_since(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
    since: DateTime<Utc>,
) -> Result<EndedRuns, StoreError> {
    let row = sqlx::query!(
        r#"
        with ended as (
            select
                final_status as status, properties_scraped, properties_saved,
                extract(epoch from completed_at - started_at)::float8 as seconds
            from scraping_job
            where scheduled_job_id = $1
                and final_status in ('completed', 'failed', 'cancelled')
                and completed_at > $2
        )
        select
            count(*) filter (where status = 'completed') as "completed!",
            count(*) filter (where status = 'failed') as "failed!",
            count(*) filter (where status = 'cancelled') as "cancelled!",
            coalesce(sum(properties_scraped), 0)::bigint as "scraped!",
            coalesce(sum(properties_saved), 0)::bigint as "saved!",
            avg(seconds) filter (where status = 'completed') as average,
            percentile_disc(0.5) within group (order by seconds)
                filter (where status = 'completed') as p50,
            percentile_disc(0.95) within group (order by seconds)
                filter (where status = 'completed') as p95
        from ended
        "#,
        job.as_str(),
        since,
    )
    .fetch_one(conn)
    .await?;
    let durations = match (row.average, row.p50, row.p95) {
        (Some(average), Some(p50), Some(p95)) => {
            Some(Durations { average: seconds(average), p50: seconds(p50), p95: seconds(p95) })
        }
        (_, _, _) => None,
    };
    let (completed, failed, cancelled) = (row.completed, row.failed, row.cancelled);
    Ok(EndedRuns {
        completed,
        failed,
        cancelled,
        scraped: row.scraped,
        saved: row.saved,
        durations,
    })
}

/// The end of the job's last completed run.
pub async fn last_success(
    conn: &mut PgConnection,
    job: &ScheduledJobId,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let last = sqlx::query_scalar!(
        r#"
        select max(completed_at)
        from scraping_job
        where scheduled_job_id = $1
            and final_status = 'completed'
        "#,
        job.as_str(),
    )
    .fetch_one(conn)
    .await?;
    Ok(last)
}

/// A corrected clock can make a run end before it started.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
