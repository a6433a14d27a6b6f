//! Ticks: planned, decided, explained and backfilled.

use windrow_client::proto;

use super::details::details;
use super::escape::clean;
use super::runs::status;
use super::table::{Column, table};
use super::{Layout, NONE, counted};
use crate::json::word;

/// TIME IN ZONE is the wall clock in the zone of the schedule. On a narrow terminal CLOCK CHANGE is left out first, then
/// IN, TIME IN ZONE.
pub(crate) fn ticks(layout: &Layout, response: &proto::PreviewTicksResponse) -> String {
    let columns = [
        Column::id("TICK"),
        Column::text("TIME IN ZONE", 1),
        Column::text("IN", 2),
        Column::text("CLOCK CHANGE", 3).if_any(),
    ];
    let rows = response.ticks.iter().map(|tick| {
        [
            layout.time(tick.tick_at.as_ref()),
            tick.local_time.clone(),
            layout.relative(tick.tick_at.as_ref()),
            shift(tick.shift()).to_owned(),
        ]
    });
    let shown = table(layout, columns, rows);
    let skipped = &response.skipped_local_times;
    let count = counted(response.ticks.len(), "tick", "ticks");
    let footer = if skipped.is_empty() {
        count
    } else {
        format!("{count}; no tick at skipped local times: {}", skipped.join(", "))
    };
    shown.with_footer(&footer)
}

/// On a narrow terminal SERVER is left out first, then REASON, UNTIL, TICKS, RUN, DECISION. TICKS is the
/// number of ticks in a range.
pub(crate) fn decided_ticks(
    layout: &Layout,
    ticks: &[proto::DecidedTick],
    has_more: bool,
) -> String {
    if ticks.is_empty() {
        return "No ticks decided yet. Show the next ones: windrow preview --job JOB".to_owned();
    }
    let columns = [
        Column::id("TICK"),
        Column::state("DECISION", 1),
        Column::whole("RUN", 2).if_any(),
        Column::number("TICKS", 3).if_any(),
        Column::whole("UNTIL", 4).if_any(),
        Column::text("REASON", 5).if_any(),
        Column::text("SERVER", 6),
    ];
    let rows = ticks.iter().map(|tick| {
        let is_range = tick.count > 1;
        [
            layout.time(tick.tick_at.as_ref()),
            decision(tick),
            tick.job_id.clone(),
            if is_range { tick.count.to_string() } else { String::new() },
            if is_range { layout.time(tick.until.as_ref()) } else { String::new() },
            layout.localized(&tick.reason),
            tick.server.clone(),
        ]
    });
    let count = ticks.len();
    let footer = if has_more {
        format!("{count} entries, more follow; --all shows everything")
    } else {
        format!("{count} entries")
    };
    table(layout, columns, rows).with_footer(&footer)
}

/// The explanation, and below it the facts.
pub(crate) fn explanation(layout: &Layout, response: &proto::ExplainTickResponse) -> String {
    let decided = response.decided.clone().unwrap_or_default();
    let revision = response.revision.clone().unwrap_or_default();
    let job = revision.scheduled_job.clone().unwrap_or_default();
    let time =
        |at: Option<&prost_types::Timestamp>| at.map(|at| layout.instant(at)).unwrap_or_default();
    // Before the creation of the job there was no schedule.
    let schedule = match job.cron_expression.as_str() {
        "" => String::new(),
        expression => format!("{expression} ({})", job.timezone),
    };
    let mut lines = vec![
        ("State", word(response.state().as_str_name(), "TICK_STATE_")),
        ("Time in zone", response.tick.as_ref().map(|t| t.local_time.clone()).unwrap_or_default()),
        ("Decision", response.decided.as_ref().map_or_else(String::new, decision)),
        ("Run", decided.job_id),
        ("Run status", response.scraping_job.as_ref().map_or_else(String::new, status)),
        ("Decided at", time(decided.decided_at.as_ref())),
        ("Server", decided.server),
        ("Settings", settings(layout, &revision)),
        ("Schedule", schedule),
    ];
    lines.extend(response.depends_on.iter().map(|text| ("Condition", layout.localized(text))));
    lines.push(("Tick before", time(response.previous_tick_at.as_ref())));
    lines.push(("Tick after", time(response.next_tick_at.as_ref())));
    let explanation = clean(&layout.localized(&response.explanation));
    format!("{explanation}\n\n{}", details(layout, lines))
}

pub(crate) fn backfill(layout: &Layout, response: &proto::BackfillScheduledJobResponse) -> String {
    let columns =
        [Column::id("TICK"), Column::text("OUTCOME", 1), Column::whole("RUN", 2).if_any()];
    let rows = response.ticks.iter().map(|tick| {
        let outcome = match tick.outcome() {
            proto::BackfillOutcome::Unspecified => NONE,
            proto::BackfillOutcome::Created => "create",
            proto::BackfillOutcome::RunExists => "exists",
        };
        [layout.time(tick.tick_at.as_ref()), outcome.to_owned(), tick.job_id.clone()]
    });
    table(layout, columns, rows).text
}

fn settings(layout: &Layout, revision: &proto::ScheduledJobRevision) -> String {
    if revision.number == 0 {
        return String::new();
    }
    let by = match revision.changed_by.as_str() {
        "" => String::new(),
        caller => format!(" by {caller}"),
    };
    let change = word(revision.change().as_str_name(), "REVISION_CHANGE_");
    let since = layout.time(revision.valid_from.as_ref());
    format!("revision {}: {change}{by}, since {since}", revision.number)
}

fn decision(tick: &proto::DecidedTick) -> String {
    word(tick.decision().as_str_name(), "TICK_DECISION_")
}

fn shift(shift: proto::TickShift) -> &'static str {
    match shift {
        proto::TickShift::Unspecified | proto::TickShift::None => "",
        proto::TickShift::GapMoved => "skipped hour: moved after it",
        proto::TickShift::FoldFirst => "repeated hour: first time",
        proto::TickShift::FoldSecond => "repeated hour: second time",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_its_end_and_its_reason() {
        let tick = proto::DecidedTick {
            tick_at: Some(prost_types::Timestamp { seconds: 60, nanos: 0 }),
            until: Some(prost_types::Timestamp { seconds: 180, nanos: 0 }),
            count: 3,
            decision: proto::TickDecision::Paused.into(),
            reason: "the job was paused".to_owned(),
            ..Default::default()
        };
        let shown = decided_ticks(&Layout::fixed(None, 0), &[tick], false);
        let expected = "paused        3  1970-01-01T00:03:00Z  the job was paused";
        assert!(shown.contains(expected), "{shown}");
    }
}
