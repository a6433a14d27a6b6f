//! Between ticks and their proto messages.

use windrow::v1 as proto;

use super::convert::{self, to_time};
use super::page;
use crate::app::{App, AppError, LedgerEntry, Preview};
use crate::domain::schedule::{Shift, Tick};
use crate::domain::tick::Decision;

/// Ticks of a preview without a count.
const DEFAULT_COUNT: i32 = 10;
/// More are lowered to this.
const LARGEST_COUNT: i32 = 1_000;
/// As ISO 8601 has it, without an offset.
const LOCAL_TIME: &str = "%Y-%m-%dT%H:%M:%S";

pub(super) async fn preview(
    app: &App,
    request: proto::PreviewTicksRequest,
) -> Result<proto::PreviewTicksResponse, AppError> {
    let count = match request.count {
        ..0 => return Err(AppError::invalid("count", "must not be negative")),
        0 => DEFAULT_COUNT,
        count => count.min(LARGEST_COUNT),
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
    let ticks = app.preview_ticks(preview, after, count).await?;
    Ok(proto::PreviewTicksResponse { ticks: ticks.iter().map(to_tick).collect() })
}

pub(super) async fn list(
    app: &App,
    request: proto::ListTicksRequest,
) -> Result<proto::ListTicksResponse, AppError> {
    let list = format!("Ticks {}", request.scheduled_job_id);
    let id = convert::scheduled_job_id("scheduled_job_id", &request.scheduled_job_id)?;
    let limit = page::size("page_size", request.page_size)?;
    let before = match page::position(&list, &request.page_token)? {
        Some(position) => Some(page::instant(&position).ok_or_else(page::foreign)?),
        None => None,
    };
    let found = app.list_ticks(&id, before, limit).await?;
    let next = found.next.map(|tick| tick.timestamp_micros().to_string());
    Ok(proto::ListTicksResponse {
        ticks: found.entries.iter().map(to_decided).collect(),
        next_page_token: super::next_token(&list, next),
    })
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
        Decision::Skipped => proto::TickDecision::Skipped,
        Decision::Missed => proto::TickDecision::Missed,
        Decision::Paused => proto::TickDecision::Paused,
    };
    proto::DecidedTick {
        tick_at: Some(to_time(decided.tick_at)),
        until: Some(to_time(decided.until)),
        count: i64::try_from(decided.count).unwrap_or(i64::MAX),
        decision: decision.into(),
        reason: decided.reason.clone(),
        job_id: entry.job_id.clone().unwrap_or_default(),
        decided_at: Some(to_time(entry.decided_at)),
    }
}
