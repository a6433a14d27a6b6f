//! Reports and ends of attempts: the calls of all workers share transactions.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use windrow_worker::{AttemptUpdate, Outcome};

use super::{Holder, holds, lost, progressed, run_id, to_outcome, to_results};
use crate::app::group_commit::{GroupCall, Locked, Results};
use crate::app::logs::{Entry, append, to_lines};
use crate::app::signals::Work;
use crate::app::{AppError, run_log};
use crate::domain::id::RunId;
use crate::domain::log::Line;
use crate::domain::run::{Counts, Event, LocationResult, Run, Status};
use crate::domain::size::BATCH;
use crate::store::{Budget, runs};

/// The run after a call.
#[derive(Clone, Debug)]
pub(in crate::app) struct Reported {
    pub(super) run: Run,
    /// False if the call repeats an earlier one.
    has_written: bool,
    /// Whether it is another state than before. New lines of the log are none.
    has_changed: bool,
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

    const EXECUTED_AT_ONCE: usize = 2;

    /// The lines of a log are counted under the lock of its run.
    fn needs_transaction(&self) -> bool {
        !self.lines.is_empty()
    }

    async fn execute(
        conn: &mut PgConnection,
        calls: &[&Self],
        locked: Locked,
    ) -> Result<Results<Reported>, AppError> {
        let ids: Vec<RunId> = calls.iter().map(|call| call.run.clone()).collect();
        let in_transaction = calls.iter().any(|call| call.needs_transaction());
        let found = match locked {
            Locked::Wait => runs::runs_lock(conn, &ids).await?,
            Locked::Skip if in_transaction => {
                runs::runs_lock_free(conn, &ids, &mut Budget::new(BATCH)).await?
            }
            Locked::Skip => {
                let ids: Vec<&str> = ids.iter().map(RunId::as_str).collect();
                runs::runs_get_some(conn, &ids, &mut Budget::new(BATCH)).await?
            }
        };
        let Applied { mut results, changed, entries } = apply_each(calls, found, locked);
        if locked == Locked::Skip && !in_transaction {
            let written = runs::runs_write_free(conn, &changed).await?;
            let must_repeat = |reported: &Reported| {
                reported.has_changed && !written.contains(reported.run.spec.id.as_str())
            };
            for result in &mut results {
                result.take_if(|result| result.as_ref().is_ok_and(must_repeat));
            }
        } else {
            let now = calls.iter().map(|call| call.now).max().unwrap_or_default();
            append(conn, entries, now).await?;
            runs::runs_write(conn, &changed).await?;
        }
        Ok(results)
    }

    fn has_written(reported: &Reported) -> bool {
        reported.has_written
    }

    /// The end of an attempt may make room under a limit, or let the run of a later tick start.
    fn work(reported: &Reported) -> Work {
        if reported.run.state.status == Status::Running { Work::none() } else { Work::Any(1) }
    }

    fn committed(Reported { run, has_written, .. }: &Reported) {
        // A repeated call must not log the end of the run again.
        if *has_written && run.state.status != Status::Running {
            run_log::log_run(run);
        }
    }
}

/// What a batch writes.
struct Applied {
    results: Results<Reported>,
    changed: Vec<Run>,
    entries: Vec<Entry>,
}

fn apply_each(calls: &[&AttemptCall], found: Vec<Run>, locked: Locked) -> Applied {
    // Each run once: a second call of the batch about the same run has to see the result of the first.
    let mut open: BTreeMap<RunId, Run> =
        found.into_iter().map(|run| (run.spec.id.clone(), run)).collect();
    let mut applied = Applied { results: Vec::new(), changed: Vec::new(), entries: Vec::new() };
    for call in calls {
        let Some(before) = open.remove(&call.run) else {
            let not_found = || Err(AppError::RunNotFound(call.run.clone()));
            applied.results.push((locked == Locked::Wait).then(not_found));
            continue;
        };
        let result = call.apply(&before).map(|run| {
            let has_written = holds(&before, &call.holder);
            let has_changed = run.state.revision > before.state.revision;
            Reported { run, has_written, has_changed }
        });
        if let Ok(reported) = &result {
            if reported.has_written {
                let (run, attempt) = (call.run.clone(), call.holder.attempt.attempt);
                applied.entries.push(Entry { run, attempt, lines: call.lines.clone() });
            }
            if reported.has_changed {
                applied.changed.push(reported.run.clone());
            }
        }
        applied.results.push(Some(result));
    }
    applied
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
