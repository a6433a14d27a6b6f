//! The RPCs about ticks: preview, list, explain and backfill.

use windrow::v1 as proto;

use super::ANONYMOUS;
use super::convert::{self, to_duration, to_job, to_run, to_time};
use super::page::{self, PageTokens};
use super::request_id::idempotency_key;
use crate::app::{
    App, AppError, Backfill, BackfillResult, Backfilled, BackfilledTick, Explanation, Preview,
    Previewed, TickState,
};
use crate::domain::ledger::LedgerEntry;
use crate::domain::parameters::SourceNames;
use crate::domain::revision::{Change, Revision};
use crate::domain::saturating::{saturating_i32, saturating_i64};
use crate::domain::schedule::{Shift, Tick};
use crate::domain::tick::Decision;

/// Number of ticks in a preview if the request does not set it.
const DEFAULT_COUNT: i32 = 10;
/// Larger counts are lowered to this.
const MAX_COUNT: i32 = 1_000;
/// ISO 8601 without an offset.
const LOCAL_TIME: &str = "%Y-%m-%dT%H:%M:%S";

pub(super) async fn preview(
    app: &App,
    request: proto::PreviewTicksRequest,
) -> Result<proto::PreviewTicksResponse, AppError> {
    let count = match request.count {
        ..0 => return Err(AppError::invalid("count", "must not be negative")),
        0 => DEFAULT_COUNT,
        count => count.min(MAX_COUNT),
    };
    let after = convert::time("after", request.after)?;
    let of_job = !request.scheduled_job_id.is_empty();
    if of_job && !(request.cron_expression.is_empty() && request.timezone.is_empty()) {
        let description = "cannot be combined with cron_expression and timezone";
        return Err(AppError::invalid("scheduled_job_id", description));
    }
    let preview = if of_job {
        Preview::Job(convert::scheduled_job_id("scheduled_job_id", &request.scheduled_job_id)?)
    } else {
        let (cron_expression, timezone) = (request.cron_expression, request.timezone);
        Preview::Schedule { cron_expression, timezone }
    };
    let count = usize::try_from(count).unwrap_or_default();
    let Previewed { ticks, skipped, warnings } = app.preview_ticks(preview, after, count).await?;
    Ok(proto::PreviewTicksResponse {
        ticks: ticks.iter().map(to_tick).collect(),
        skipped_local_times: skipped.iter().map(|at| at.format(LOCAL_TIME).to_string()).collect(),
        warnings,
    })
}

pub(super) async fn list(
    app: &App,
    request: proto::ListTicksRequest,
) -> Result<proto::ListTicksResponse, AppError> {
    let tokens = PageTokens::new(&format!("Ticks {}", request.scheduled_job_id));
    let id = convert::scheduled_job_id("scheduled_job_id", &request.scheduled_job_id)?;
    let limit = page::size("page_size", request.page_size)?;
    let before = tokens.read(&request.page_token)?;
    let found = app.list_ticks(&id, before, limit).await?;
    Ok(proto::ListTicksResponse {
        ticks: found.items.iter().map(to_decided).collect(),
        next_page_token: tokens.next(found.next_after().map(|entry| entry.decided.tick_at)),
    })
}

pub(super) async fn explain(
    app: &App,
    request: proto::ExplainTickRequest,
) -> Result<proto::ExplainTickResponse, AppError> {
    let id = convert::scheduled_job_id("scheduled_job_id", &request.scheduled_job_id)?;
    let instant = convert::required_time("tick_at", request.tick_at)?;
    let Explanation { state, text, tick, entry, run, revision, depends_on, previous, next } =
        app.explain_tick(&id, instant).await?;
    Ok(proto::ExplainTickResponse {
        state: to_state(state).into(),
        explanation: text,
        tick: tick.as_ref().map(to_tick),
        decided: entry.as_ref().map(to_decided),
        scraping_job: run.as_ref().map(to_run),
        revision: revision.as_ref().map(|revision| to_revision(revision, app.sources())),
        depends_on,
        previous_tick_at: previous.map(to_time),
        next_tick_at: next.map(to_time),
    })
}

pub(super) async fn backfill(
    app: &App,
    mut request: proto::BackfillScheduledJobRequest,
) -> Result<proto::BackfillScheduledJobResponse, AppError> {
    let request_id = std::mem::take(&mut request.request_id);
    let key = idempotency_key("BackfillScheduledJob", request_id, &request)?;
    let backfill = Backfill {
        job: convert::scheduled_job_id("scheduled_job_id", &request.scheduled_job_id)?,
        start: convert::required_time("start_time", request.start_time)?,
        end: convert::required_time("end_time", request.end_time)?,
        priority: convert::priority(request.priority)?,
        requested_by: ANONYMOUS.to_owned(),
        idempotency_key: key,
    };
    let BackfillResult { ticks, warnings } =
        app.backfill(backfill, super::mode(request.validate_only)).await?;
    let created = ticks.iter().filter(|tick| matches!(tick.outcome, Backfilled::Created(_)));
    Ok(proto::BackfillScheduledJobResponse {
        created_count: saturating_i32(created.count()),
        ticks: ticks.into_iter().map(to_backfilled).collect(),
        warnings,
    })
}

fn to_backfilled(tick: BackfilledTick) -> proto::BackfilledTick {
    let (outcome, job_id) = match tick.outcome {
        Backfilled::Created(run) => (proto::BackfillOutcome::Created, run.unwrap_or_default()),
        Backfilled::RunExists(run) => (proto::BackfillOutcome::RunExists, run),
    };
    proto::BackfilledTick { tick_at: Some(to_time(tick.tick_at)), outcome: outcome.into(), job_id }
}

fn to_state(state: TickState) -> proto::TickState {
    match state {
        TickState::Decided => proto::TickState::Decided,
        TickState::Due => proto::TickState::Due,
        TickState::Future => proto::TickState::Future,
        TickState::NotATick => proto::TickState::NotATick,
        TickState::BeforeCreation => proto::TickState::BeforeCreation,
        TickState::Expired => proto::TickState::Expired,
    }
}

fn to_revision(revision: &Revision, sources: &SourceNames) -> proto::ScheduledJobRevision {
    let change = match revision.change {
        Change::Created => proto::RevisionChange::Created,
        Change::Updated => proto::RevisionChange::Updated,
        Change::Paused => proto::RevisionChange::Paused,
        Change::Resumed => proto::RevisionChange::Resumed,
        Change::Deactivated => proto::RevisionChange::Deactivated,
        Change::Deleted => proto::RevisionChange::Deleted,
        Change::Undeleted => proto::RevisionChange::Undeleted,
        Change::Imported => proto::RevisionChange::Imported,
    };
    let job = to_job(&revision.job, sources);
    proto::ScheduledJobRevision {
        number: revision.job.revision,
        valid_from: Some(to_time(revision.valid_from)),
        changed_by: revision.changed_by.clone(),
        change: change.into(),
        scheduled_job: Some(proto::ScheduledJob { created_at: None, updated_at: None, ..job }),
    }
}

fn to_tick(tick: &Tick) -> proto::Tick {
    let shift = match tick.shift {
        Shift::None => proto::TickShift::None,
        Shift::GapMoved => proto::TickShift::GapMoved,
        Shift::FoldFirst => proto::TickShift::FoldFirst,
        Shift::FoldSecond => proto::TickShift::FoldSecond,
    };
    proto::Tick {
        tick_at: Some(to_time(tick.tick_at)),
        local_time: tick.local_time.format(LOCAL_TIME).to_string(),
        shift: shift.into(),
    }
}

fn to_decided(entry: &LedgerEntry) -> proto::DecidedTick {
    let decided = &entry.decided;
    let decision = match decided.decision {
        Decision::Fired => proto::TickDecision::Fired,
        Decision::SkippedOverlap => proto::TickDecision::SkippedOverlap,
        Decision::QueueFull => proto::TickDecision::QueueFull,
        Decision::Merged => proto::TickDecision::Merged,
        Decision::Missed => proto::TickDecision::Missed,
        Decision::OutsideWindow => proto::TickDecision::OutsideWindow,
        Decision::Paused => proto::TickDecision::Paused,
    };
    proto::DecidedTick {
        tick_at: Some(to_time(decided.tick_at)),
        until: Some(to_time(decided.until)),
        count: saturating_i64(decided.count),
        decision: decision.into(),
        reason: decided.reason.clone(),
        job_id: entry.job_id.clone().unwrap_or_default(),
        decided_at: Some(to_time(entry.decided_at)),
        lateness: (entry.decided_at - decided.until).to_std().ok().and_then(to_duration),
        server: entry.server.clone(),
        revision: entry.revision,
        blocking_job_id: decided.blocking.as_ref().map_or_else(String::new, ToString::to_string),
        starts_at: decided.starts_at.map(to_time),
        backfill_job_id: entry.backfill_job_id.clone().unwrap_or_default(),
    }
}
