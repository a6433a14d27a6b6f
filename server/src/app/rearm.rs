//! Schedules after the database's clock was ahead.
//!
//! While it is, ticks are decided that are still to come, and when it is right again, jobs would wait until the
//! time up to which they were decided. Nothing can tell a wrong clock from a right one at that moment, so a
//! change by hand repairs it.
//!
//! **Rule**: any change of a job whose watermark is more than a minute ahead, also a Resume of an active job,
//! takes back the decisions about the ticks to come, except about those that have fired. From now on ticks are
//! decided as usual, and those that have fired do not fire again.

use std::sync::atomic::Ordering;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use tracing::{info, warn};

use super::{App, AppError};
use crate::domain::scheduled_job::{CLOCK_TOLERANCE, ScheduledJob};
use crate::domain::tick::{COUNT_LIMIT, TickOutcome};
use crate::store::{scheduled_jobs, ticks};

impl App {
    /// Looks for jobs that wait because the clock was ahead, and logs them. Returns their number.
    pub async fn check_jobs_ahead(&self) -> Result<i64, AppError> {
        let mut conn = self.acquire().await?;
        let limit = self.now() + CLOCK_TOLERANCE;
        let (count, example) = scheduled_jobs::schedules_ahead(&mut conn, limit).await?;
        self.jobs_ahead.store(count, Ordering::Relaxed);
        if let Some(job) = example {
            warn!(
                jobs.count = count,
                job.id = %job,
                "The database's clock was ahead: {count} jobs, among them {job}, wait for the time up to which \
                 their ticks were decided. If the clock is right now, `windrow jobs resume` repairs them"
            );
        }
        Ok(count)
    }

    /// The jobs that waited at the last look because the clock was ahead.
    pub fn jobs_ahead(&self) -> i64 {
        self.jobs_ahead.load(Ordering::Relaxed)
    }
}

/// Applies the rule to a job whose schedule is locked and about to change. Returns it with the ticks after its
/// watermark that have fired.
pub(super) async fn rearm(
    conn: &mut PgConnection,
    job: ScheduledJob,
    now: DateTime<Utc>,
) -> Result<(ScheduledJob, Vec<DateTime<Utc>>), AppError> {
    let job = if job.gate.is_ahead(now) { take_back(conn, job, now).await? } else { job };
    let fired = ticks::ticks_fired_after(conn, &job.id, job.gate.watermark).await?;
    Ok((job, fired))
}

async fn take_back(
    conn: &mut PgConnection,
    job: ScheduledJob,
    now: DateTime<Utc>,
) -> Result<ScheduledJob, AppError> {
    let id = &job.id;
    if let Some(entry) = ticks::tick_covering(conn, id, now).await?
        && let Some(shorter) = up_to(&job, entry.decided, now)
    {
        ticks::tick_shorten(conn, id, &shorter).await?;
    }
    ticks::ticks_revoke(conn, id, now).await?;
    info!(job.id = %id, "Took back the decisions of job {id} about ticks to come: the clock was ahead");
    let gate = job.gate.clone().rearmed(&job.settings.schedule, now);
    Ok(ScheduledJob { gate, ..job })
}

/// A range of ticks without those after `now`; `None` if there are none.
fn up_to(job: &ScheduledJob, range: TickOutcome, now: DateTime<Utc>) -> Option<TickOutcome> {
    if range.until <= now {
        return None;
    }
    let (schedule, before) = (&job.settings.schedule, range.tick_at - TimeDelta::microseconds(1));
    let until = schedule.latest_in(before, now)?;
    let count = schedule.count_in(before, until, COUNT_LIMIT);
    Some(TickOutcome { until, count, ..range })
}
