//! Reports of properties: those of all workers share transactions. A large one has a transaction of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use windrow_worker::{Report, ScrapedProperty};

use super::content::IgnoredFields;
use super::save::{Accepted, count, save};
use crate::app::group_commit::{GroupCall, Locked, Results};
use crate::app::leases::{Holder, apply, holds, lost, progressed, run_id, to_results};
use crate::app::logs::{Entry, append, to_lines};
use crate::app::signals::Work;
use crate::app::{App, AppError};
use crate::domain::id::RunId;
use crate::domain::log::Line;
use crate::domain::run::{LocationResult, Run};
use crate::domain::size::BATCH;
use crate::store::{Budget, runs};

/// A worker's report with properties.
#[derive(Clone, Debug)]
pub(in crate::app) struct ReportCall {
    holder: Holder,
    run: RunId,
    scraped_before: i64,
    properties: Vec<ScrapedProperty>,
    lines: Vec<Line>,
    results: Vec<LocationResult>,
    /// Fields that are not part of the content, by source.
    ignored: Arc<BTreeMap<String, IgnoredFields>>,
    /// Approximate number of bytes.
    size: usize,
    now: DateTime<Utc>,
}

/// The run after a report.
#[derive(Clone, Debug)]
pub(in crate::app) struct Submitted {
    pub(super) run: Run,
    /// False if the call repeats an earlier one.
    has_written: bool,
}

impl ReportCall {
    pub(super) fn new(
        app: &App,
        holder: &Holder,
        report: Report,
        size: usize,
    ) -> Result<Self, AppError> {
        let Report { scraped_before, properties, update } = report;
        let (lines, results) = (to_lines(update.lines), to_results(update.results));
        let (holder, run, now) = (holder.clone(), run_id(holder)?, app.now());
        let ignored = Arc::clone(&app.ignored_fields);
        Ok(Self { holder, run, scraped_before, properties, lines, results, ignored, size, now })
    }

    /// Whether the run has processed exactly this report already. Fails if it is not the next one either.
    fn is_repeated(&self, run: &Run) -> Result<bool, AppError> {
        if !holds(run, &self.holder) {
            return Err(lost(run, &self.holder));
        }
        let scraped = run.state.counts.scraped;
        if scraped == self.scraped_before {
            return Ok(false);
        }
        if scraped == self.scraped_before.saturating_add(count(self.properties.len())) {
            return Ok(true);
        }
        let text = format!("does not match the run's count ({scraped})");
        Err(AppError::invalid("scraped_before", text))
    }

    fn accepted<'a>(&'a self, run: &'a Run) -> Accepted<'a> {
        let source = run.spec.parameters.source.as_deref().unwrap_or_default();
        let ignored = self.ignored.get(source).cloned().unwrap_or_default();
        Accepted { run, rows: &self.properties, ignored }
    }

    /// Adds the keys of its properties, unless another report of the batch has one of them: the second report has to
    /// see what the first one has written.
    fn claim<'a>(&'a self, run: &'a Run, claimed: &mut BTreeSet<(&'a str, &'a str)>) -> bool {
        let source = run.spec.parameters.source.as_deref().unwrap_or_default();
        let keys = || self.properties.iter().map(|row| (source, row.property.id.as_str()));
        let is_free = keys().all(|key| !claimed.contains(&key));
        if is_free {
            claimed.extend(keys());
        }
        is_free
    }
}

impl GroupCall for ReportCall {
    type Output = Submitted;

    async fn execute(
        conn: &mut PgConnection,
        calls: &[&Self],
        locked: Locked,
    ) -> Result<Results<Submitted>, AppError> {
        let ids: Vec<RunId> = calls.iter().map(|call| call.run.clone()).collect();
        let found = match locked {
            Locked::Wait => runs::runs_lock(conn, &ids).await?,
            Locked::Skip => runs::runs_lock_free(conn, &ids, &mut Budget::new(BATCH)).await?,
        };
        // Each run once: a second report about the same run has to see the result of the first.
        let mut open: BTreeMap<&RunId, &Run> =
            found.iter().map(|run| (&run.spec.id, run)).collect();
        let (mut results, mut claimed) = (Vec::new(), BTreeSet::new());
        let mut accepted = BTreeMap::new();
        for (index, call) in calls.iter().enumerate() {
            let Some(run) = open.remove(&call.run) else {
                let not_found = || Err(AppError::RunNotFound(call.run.clone()));
                results.push((locked == Locked::Wait).then(not_found));
                continue;
            };
            let repeated = || Submitted { run: run.clone(), has_written: false };
            let result = match call.is_repeated(run) {
                Ok(true) => Some(Ok(repeated())),
                Ok(false) => None,
                Err(error) => Some(Err(error)),
            };
            if result.is_none() && call.claim(run, &mut claimed) {
                accepted.insert(index, (*call, run));
            }
            results.push(result);
        }
        for (index, result) in write(conn, accepted).await? {
            results.splice(index..=index, [Some(result)]).for_each(drop);
        }
        Ok(results)
    }

    fn size(&self) -> usize {
        self.size
    }

    fn has_written(submitted: &Submitted) -> bool {
        submitted.has_written
    }

    fn work(_submitted: &Submitted) -> Work {
        Work::none()
    }
}

/// Writes the reports of different runs, each with properties of its own; returns their results.
async fn write(
    conn: &mut PgConnection,
    reports: BTreeMap<usize, (&ReportCall, &Run)>,
) -> Result<Vec<(usize, Result<Submitted, AppError>)>, AppError> {
    let Some(now) = reports.values().map(|(call, _)| call.now).max() else {
        return Ok(Vec::new());
    };
    let accepted = reports.values().map(|(call, run)| call.accepted(run));
    let found = save(conn, &accepted.collect::<Vec<_>>(), now).await?;
    let entry = |(call, run): &(&ReportCall, &Run)| Entry {
        run: run.spec.id.clone(),
        attempt: run.state.attempt,
        lines: call.lines.clone(),
    };
    append(conn, reports.values().map(entry).collect(), now).await?;
    let (mut results, mut changed) = (Vec::new(), Vec::new());
    for ((index, (call, run)), found) in reports.into_iter().zip(found) {
        let event = progressed(run.state.attempt, found, call.results.clone());
        let after = apply(run.clone(), event, now);
        changed.extend(after.iter().cloned());
        results.push((index, after.map(|run| Submitted { run, has_written: true })));
    }
    runs::runs_write(conn, &changed).await?;
    Ok(results)
}
