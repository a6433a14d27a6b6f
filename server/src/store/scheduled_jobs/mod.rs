//! Scheduled jobs, each in three rows: settings, schedule and history.

mod armed;
mod row;
mod write;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

pub use self::armed::{ArmedSchedule, schedules_armed};
pub(super) use self::row::JobRow;
pub use self::write::{
    history_insert, schedule_insert, schedules_write, settings_insert, settings_write,
};
use super::StoreError;
use crate::domain::id::ScheduledJobId;
use crate::domain::scheduled_job::ScheduledJob;

/// Selects whole scheduled jobs; the first argument follows the joined tables `j`, `s`, `h`.
macro_rules! select_jobs {
    ($tail:literal $(+ $more:literal)* $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            JobRow,
            r#"
            select
                j.scheduled_job_id, j.name, j.cron_expression, j.timezone,
                j.parameters, j.priority, j.labels, j.policy, j.max_concurrent_runs, j.tick_policy,
                j.version, j.created_at, j.revision, s.status, s.pause_reason, s.paused_until,
                s.deleted_at, s.updated_at, s.watermark, s.next_tick_at, h.run_count, h.last_run_at,
                h.last_run_status, h.last_run_job_id
            from scheduled_job j
            join scheduled_job_schedule s using (scheduled_job_id)
            join scheduled_job_history h using (scheduled_job_id)
            "# + $tail $(+ $more)*
            $(, $argument)*
        )
    };
}

// After the macro, which it uses.
mod list;

pub use self::list::{scheduled_jobs_count, scheduled_jobs_list};

pub async fn scheduled_job_get(
    conn: &mut PgConnection,
    id: &ScheduledJobId,
) -> Result<Option<ScheduledJob>, StoreError> {
    let row =
        select_jobs!("where j.scheduled_job_id = $1", id.as_str()).fetch_optional(conn).await?;
    row.map(ScheduledJob::try_from).transpose()
}

/// The jobs that exist among `ids`, in any order. Fails if one of them cannot be read.
pub async fn scheduled_jobs_get(
    conn: &mut PgConnection,
    ids: &[&str],
) -> Result<Vec<ScheduledJob>, StoreError> {
    let rows = select_jobs!("where j.scheduled_job_id = any($1)", ids as _).fetch_all(conn).await?;
    rows.into_iter().map(ScheduledJob::try_from).collect()
}

/// Locks one schedule and returns the whole job.
pub async fn scheduled_job_lock(
    conn: &mut PgConnection,
    id: &ScheduledJobId,
) -> Result<Option<ScheduledJob>, StoreError> {
    let row = select_jobs!("where j.scheduled_job_id = $1 for no key update of s", id.as_str())
        .fetch_optional(conn)
        .await?;
    row.map(ScheduledJob::try_from).transpose()
}

/// Locks due schedules, longest waiting first, skipping locked ones. Each job that cannot be read is an error of
/// its own.
pub async fn scheduled_jobs_lock_due(
    conn: &mut PgConnection,
    except: &[String],
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Vec<(String, Result<ScheduledJob, StoreError>)>, StoreError> {
    let rows = select_jobs!(
        r#"
        where s.due_at <= $1
            and s.scheduled_job_id <> all($2)
        order by s.due_at, s.scheduled_job_id
        limit $3
        for no key update of s skip locked
        "#,
        now,
        except,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let named = |row: JobRow| (row.scheduled_job_id.clone(), ScheduledJob::try_from(row));
    Ok(rows.into_iter().map(named).collect())
}

/// Earliest due time of a schedule that is not in `except`.
pub async fn scheduled_jobs_next_due(
    conn: &mut PgConnection,
    except: &[String],
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let due = sqlx::query_scalar!(
        "select min(due_at) from scheduled_job_schedule where scheduled_job_id <> all($1)",
        except,
    )
    .fetch_one(conn)
    .await?;
    Ok(due)
}

/// Number of jobs whose watermark is after an instant, and one of them.
pub async fn schedules_ahead(
    conn: &mut PgConnection,
    instant: DateTime<Utc>,
) -> Result<(i64, Option<String>), StoreError> {
    let row = sqlx::query!(
        r#"
        select count(*) as "count!", min(scheduled_job_id) as example
        from scheduled_job_schedule
        where watermark > $1
            and deleted_at is null
        "#,
        instant,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.count, row.example))
}
