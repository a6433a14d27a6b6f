//! Explains why a scheduled job did or did not run at an instant, and what would happen at a future one.

mod text;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use sqlx::PgConnection;
use strum::{Display, EnumString, IntoStaticStr};

use super::{App, AppError};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::ledger::LedgerEntry;
use crate::domain::revision::{Change, Revision};
use crate::domain::run::{Origin, Run, Status};
use crate::domain::schedule::Tick;
use crate::domain::scheduled_job::ScheduledJob;
use crate::store::revisions::{self, Which};
use crate::store::{backfills, runs, scheduled_jobs, ticks};

/// The relation of an instant to a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum TickState {
    Decided,
    /// The tick is due and about to be decided.
    Due,
    /// The tick is in the future.
    Future,
    /// The schedule is not due then.
    NotATick,
    /// The job did not exist yet, or was not imported yet.
    BeforeCreation,
    /// The tick was decided, but its ledger entry is past its retention.
    Expired,
}

/// The decision about an instant, and the reasons for it.
#[derive(Clone, Debug)]
pub struct Explanation {
    pub state: TickState,
    /// The explanation in sentences, for people.
    pub text: String,
    /// The instant as a tick of the schedule that was valid then.
    pub tick: Option<Tick>,
    pub entry: Option<LedgerEntry>,
    /// The run that the tick created.
    pub run: Option<Run>,
    /// The settings under which the tick was, or would be, decided.
    pub revision: Option<Revision>,
    /// Conditions for the prediction about a future tick.
    pub depends_on: Vec<String>,
    /// The nearest tick before.
    pub previous: Option<DateTime<Utc>>,
    /// The nearest tick after.
    pub next: Option<DateTime<Utc>>,
}

impl App {
    /// Explains the decision about an instant of a job, or predicts it.
    pub async fn explain_tick(
        &self,
        id: &ScheduledJobId,
        instant: DateTime<Utc>,
    ) -> Result<Explanation, AppError> {
        let (instant, now) = (instant.trunc_subsecs(0), self.now());
        let mut conn = self.begin_snapshot().await?;
        let job = scheduled_jobs::scheduled_job_get(&mut conn, id).await?;
        let job = job.ok_or_else(|| AppError::ScheduledJobNotFound(id.clone()))?;
        let entry = ticks::tick_covering(&mut conn, id, instant).await?;
        let which =
            entry.as_ref().map_or(Which::At(instant), |entry| Which::Number(entry.revision));
        let revision = revisions::revision_get(&mut conn, id, which).await?;
        // If the revision is past its retention, the current settings are the best approximation.
        let settings = revision.as_ref().map_or(&job, |revision| &revision.job);
        let schedule = &settings.settings.schedule;
        let mut explanation = Explanation {
            state: TickState::NotATick,
            text: String::new(),
            tick: schedule.tick_at(instant),
            entry: None,
            run: None,
            revision: None,
            depends_on: Vec::new(),
            previous: schedule.latest_in(job.created_at, instant - TimeDelta::seconds(1)),
            next: schedule.next_after(instant),
        };
        // A range entry also covers instants between its ticks, about which it says nothing.
        let entry = entry.filter(|_| explanation.tick.is_some());
        let imported_at = match (&entry, &revision) {
            (None, None) if instant > job.created_at => {
                import_after(&mut conn, id, instant).await?
            }
            (_, _) => None,
        };
        explanation.state = match imported_at {
            Some(_) => TickState::BeforeCreation,
            None => state(&job, instant, now, &explanation, entry.as_ref()),
        };
        explanation.text = match (explanation.state, &entry, imported_at) {
            (TickState::Decided, Some(entry), _) => text::decided(entry),
            (TickState::Future, _, _) => {
                let missing = self.sources.missing(&job.settings.parameters);
                text::future(&job, instant, missing.as_deref())
            }
            (_, _, Some(imported_at)) => text::before_import(imported_at),
            (state, _, None) => text::undecided(state, &job, settings, &explanation),
        };
        if explanation.state == TickState::Future {
            let unfinished = ticks::ticks_unfinished(&mut conn, &[id.to_string()]).await?;
            let runs: Vec<RunId> = unfinished.into_iter().map(|(_, run)| run).collect();
            explanation.depends_on = text::depends_on(&job, &runs);
        }
        let mut explanation = Explanation { entry, revision, ..explanation };
        self.add_runs(&mut conn, id, instant, &mut explanation).await?;
        Ok(explanation)
    }

    /// Adds the run of the tick, and a sentence about one that the decision does not name or that has to wait.
    async fn add_runs(
        &self,
        conn: &mut PgConnection,
        job: &ScheduledJobId,
        instant: DateTime<Utc>,
        explanation: &mut Explanation,
    ) -> Result<(), AppError> {
        if explanation.tick.is_none() {
            return Ok(());
        }
        if let Some(entry) = &explanation.entry {
            explanation.run = run_of(conn, entry.job_id.as_deref()).await?;
        } else {
            let runs = backfills::runs_of_ticks(conn, job, &[instant]).await?;
            let run = run_of(conn, runs.into_values().next().as_deref()).await?;
            explanation.run = run.filter(|run| run.spec.origin == Origin::Scheduled);
            let of_tick = explanation.run.as_ref();
            explanation.text.extend(of_tick.map(|run| format!(" Its run is {}.", run.spec.id)));
        }
        let waiting = explanation.run.as_ref().filter(|run| run.state.status == Status::Pending);
        let missing = waiting.and_then(|run| self.sources.missing(&run.spec.parameters));
        explanation.text.extend(missing.map(|missing| text::waits(&missing)));
        let backfilled = backfills::backfill_get(conn, job, instant).await?;
        let later = backfilled.map(|run| format!(" Later, a backfill created run {run} for it."));
        explanation.text.extend(later);
        Ok(())
    }
}

fn state(
    job: &ScheduledJob,
    instant: DateTime<Utc>,
    now: DateTime<Utc>,
    explanation: &Explanation,
    entry: Option<&LedgerEntry>,
) -> TickState {
    if entry.is_some() {
        TickState::Decided
    } else if instant <= job.created_at {
        TickState::BeforeCreation
    } else if explanation.tick.is_none() {
        TickState::NotATick
    } else if instant > now {
        TickState::Future
    } else if instant <= job.gate.watermark {
        TickState::Expired
    } else {
        TickState::Due
    }
}

/// The time of the job's import, if that was at the instant or after it.
async fn import_after(
    conn: &mut PgConnection,
    id: &ScheduledJobId,
    instant: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, AppError> {
    let first = revisions::revision_get(conn, id, Which::Number(1)).await?;
    let imported = first.filter(|first| first.change == Change::Imported);
    Ok(imported.map(|import| import.valid_from).filter(|imported_at| instant <= *imported_at))
}

async fn run_of(conn: &mut PgConnection, id: Option<&str>) -> Result<Option<Run>, AppError> {
    match id.map(RunId::parse) {
        Some(Ok(id)) => Ok(runs::run_get(conn, &id).await?),
        Some(Err(_)) | None => Ok(None),
    }
}
