//! Next ticks after a change of the rules of time zones.
//!
//! The stored next tick of a job follows from its watermark and the rules at that time. With other rules, after an
//! update of the time zone data or of the server, it may be at another instant.
//!
//! **Rule**: an active job waits for the first tick after its watermark by the rules in use. If that is in the past,
//! it is due at once and decided by the catch-up policy. Decided ticks stay decided, so a tick that fired by the old
//! rules and is still to come by the new ones fires again.

use tracing::{info, warn};

use super::{App, AppError, commit};
use crate::domain::id::ScheduledJobId;
use crate::domain::schedule::{Schedule, ScheduleError};
use crate::domain::scheduled_job::ScheduledJob;
use crate::domain::time_zones::time_zones;
use crate::store::scheduled_jobs::{self, ArmedSchedule};

/// Schedules per page. Each takes some ten microseconds.
const PAGE: i64 = 500;
/// Jobs that the log names; the others are counted.
const NAMED: usize = 20;

/// Result of a check of all active jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MovedTicks {
    /// Jobs that wait for another instant now.
    pub moved: usize,
    /// Jobs whose expression or zone is unknown. They are not due until an update.
    pub unreadable: usize,
}

impl App {
    /// Re-arms the active jobs whose next tick is at another instant by the rules in use, and logs them.
    pub async fn rearm_moved_ticks(&self) -> Result<MovedTicks, AppError> {
        let (mut found, mut after) = (MovedTicks::default(), String::new());
        loop {
            let mut conn = self.acquire().await?;
            let page = scheduled_jobs::schedules_armed(&mut conn, &after, PAGE).await?;
            drop(conn);
            let Some(last) = page.last() else { break };
            after.clone_from(&last.scheduled_job_id);
            for armed in page {
                match is_moved(&armed) {
                    Ok(false) => {}
                    Ok(true) => self.rearm_moved(&armed, &mut found).await?,
                    Err(error) => found.note_unreadable(&armed, &error),
                }
            }
        }
        if found.moved > 0 {
            let (count, zones) = (found.moved, time_zones());
            info!(
                jobs.count = count,
                "The rules of time zones have changed ({zones}): {count} jobs wait for another instant"
            );
            self.signals.schedule_changed.notify_one();
        }
        Ok(found)
    }

    async fn rearm_moved(
        &self,
        armed: &ArmedSchedule,
        found: &mut MovedTicks,
    ) -> Result<(), AppError> {
        let Ok(id) = ScheduledJobId::parse(&armed.scheduled_job_id) else { return Ok(()) };
        let mut tx = self.begin().await?;
        let Some(job) = scheduled_jobs::scheduled_job_lock(&mut tx, &id).await? else {
            return Ok(());
        };
        let gate = job.gate.clone().with_next_tick(&job.settings.schedule);
        if gate == job.gate || !job.problems.is_empty() {
            return Ok(());
        }
        let (before, now) = (job.gate.next_tick_at, gate.next_tick_at);
        let job = ScheduledJob { gate, ..job };
        scheduled_jobs::schedules_write(&mut tx, &[job]).await?;
        commit(tx).await?;
        found.moved += 1;
        if found.moved <= NAMED {
            let text = |tick: Option<_>| tick.map_or("none".to_owned(), |tick| format!("{tick:?}"));
            let (before, now, timezone) = (text(before), text(now), &armed.timezone);
            info!(
                job.id = %id,
                "The next tick of job {id} in {timezone} has moved from {before} to {now}"
            );
        }
        Ok(())
    }
}

impl MovedTicks {
    fn note_unreadable(&mut self, armed: &ArmedSchedule, error: &ScheduleError) {
        self.unreadable += 1;
        if self.unreadable <= NAMED {
            let (id, field) = (&armed.scheduled_job_id, error.field());
            warn!(job.id = %id, "Job {id} has no ticks until an update: {field}: {error}");
        }
    }
}

fn is_moved(armed: &ArmedSchedule) -> Result<bool, ScheduleError> {
    let schedule = Schedule::parse(&armed.cron_expression, &armed.timezone)?;
    Ok(schedule.next_after(armed.watermark) != armed.next_tick_at)
}
