//! Reports and ends of attempts: the calls of all workers share transactions.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use windrow_worker::{AttemptUpdate, Outcome};

use super::{Holder, holds, lost, progressed, run_id, to_outcome, to_results};
use crate::app::group_commit::{GroupCall, Locked, Results};
use crate::app::logs::{Entry, append, to_lines};
use crate::app::signals::Work;
use crate::app::write_runs::write_changed;
use crate::app::{AppError, run_log};
use crate::domain::id::RunId;
use crate::domain::log::Line;
use crate::domain::run::{Counts, Event, LocationResult, Run, Status};
use crate::store::runs;

/// The run after a call.
#[derive(Clone, Debug)]
pub(in crate::app) struct Reported {
    pub(super) run: Run,
    /// False if the call repeats an earlier one.
    has_written: bool,
}

/// A worker's report about an attempt, which may end it.
#[derive(Clone, Debug)]
pub(in crate::app) struct AttemptCall {
    holder: Holder,
    run: RunId,
    /// Absent if the attempt goes on.
    outcome: Option<Outcome>,
    lines: Vec<Line>,
    results: Vec<LocationResult>,
    now: DateTime<Utc>,
}

impl AttemptCall {
    pub(super) fn new(
        holder: &Holder,
        outcome: Option<Outcome>,
        update: AttemptUpdate,
        now: DateTime<Utc>,
    ) -> Result<Self, AppError> {
        let (lines, results) = (to_lines(update.lines), to_results(update.results));
        let outcome = outcome.map(to_outcome);
        Ok(Self { holder: holder.clone(), run: run_id(holder)?, outcome, lines, results, now })
    }

    /// The run after the call: itself if the call changes nothing.
    fn apply(&self, run: &Run) -> Result<Run, AppError> {
        let attempt = self.holder.attempt.attempt;
        if !holds(run, &self.holder) {
            let is_repeated =
                self.outcome.as_ref().is_some_and(|outcome| has_ended_so(run, attempt, outcome));
            return if is_repeated { Ok(run.clone()) } else { Err(lost(run, &self.holder)) };
        }
        let locations = &run.spec.parameters.locations;
        let progress = run.state.progress.clone().with(self.results.clone(), locations);
        let missing = progress.without_result(locations);
        if let (Some(Outcome::Done), Some(first)) = (&self.outcome, missing.first()) {
            let count = missing.len();
            let text =
                format!("must cover every location: {count} have no result, first '{first}'");
            return Err(AppError::invalid("location_results", text));
        }
        let is_news = progress != run.state.progress;
        let results = || progressed(attempt, Counts::default(), self.results.clone());
        let end = self.outcome.clone().map(|outcome| event(outcome, attempt));
        let events = is_news.then(results).into_iter().chain(end);
        // One call is one change, with one event.
        let applied = run.clone().apply_as_one(events, self.now);
        applied.map_err(|_invalid| lost(run, &self.holder))
    }
}

impl GroupCall for AttemptCall {
    type Output = Reported;

    async fn execute(
        conn: &mut PgConnection,
        calls: &[&Self],
        locked: Locked,
    ) -> Result<Results<Reported>, AppError> {
        let ids: Vec<RunId> = calls.iter().map(|call| call.run.clone()).collect();
        let found = match locked {
            Locked::Wait => runs::runs_lock(conn, &ids).await?,
            Locked::Skip => runs::runs_lock_free(conn, &ids).await?,
        };
        // Each run once: a second call of the batch about the same run has to see the result of the first.
        let mut open: BTreeMap<RunId, Run> =
            found.into_iter().map(|run| (run.spec.id.clone(), run)).collect();
        let (mut results, mut changed, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        for call in calls {
            let Some(run) = open.remove(&call.run) else {
                let not_found = || Err(AppError::RunNotFound(call.run.clone()));
                results.push((locked == Locked::Wait).then(not_found));
                continue;
            };
            let after = call.apply(&run);
            let has_written = after.is_ok() && holds(&run, &call.holder);
            if has_written {
                let (run, attempt) = (call.run.clone(), call.holder.attempt.attempt);
                entries.push(Entry { run, attempt, lines: call.lines.clone() });
            }
            changed.extend(
                after.iter().filter(|after| after.state.revision > run.state.revision).cloned(),
            );
            results.push(Some(after.map(|run| Reported { run, has_written })));
        }
        let now = calls.iter().map(|call| call.now).max().unwrap_or_default();
        append(conn, entries, now).await?;
        write_changed(conn, &changed).await?;
        Ok(results)
    }

    fn has_written(reported: &Reported) -> bool {
        reported.has_written
    }

    /// The end of an attempt may make room under a limit, or let the run of a later tick start.
    fn work(reported: &Reported) -> Work {
        if reported.run.state.status == Status::Running { Work::none() } else { Work::Any(1) }
    }

    fn committed(Reported { run, has_written }: &Reported) {
        // A repeated call must not log the end of the run again.
        if *has_written && run.state.status != Status::Running {
            run_log::log_run(run);
        }
    }
}

/// Whether the call repeats one that ended this attempt with this outcome.
fn has_ended_so(run: &Run, attempt: i32, outcome: &Outcome) -> bool {
    let has_ended = run.state.attempt == attempt && run.state.status != Status::Running;
    has_ended
        && match outcome {
            Outcome::Done => {
                run.state.status == Status::Completed || run.state.progress.failure().is_some()
            }
            Outcome::Failed { reason, .. } => run.state.error_message == *reason,
            Outcome::Cancelled => run.state.status == Status::Cancelled,
            Outcome::Released => {
                run.state.status == Status::Pending && run.state.error_message.is_empty()
            }
        }
}

fn event(outcome: Outcome, attempt: i32) -> Event {
    match outcome {
        Outcome::Done => Event::Done { attempt },
        Outcome::Failed { reason, permanent } => {
            Event::AttemptFailed { attempt, reason, permanent }
        }
        Outcome::Cancelled => Event::CancelNoticed { attempt },
        Outcome::Released => Event::Released { attempt },
    }
}
