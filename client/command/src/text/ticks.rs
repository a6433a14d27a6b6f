//! Ticks, for people.

use windrow_client::proto;

use super::table::table;
use super::{details, instant, page_end, short, time};

pub(crate) fn ticks(answer: &proto::PreviewTicksResponse) -> String {
    let rows = answer.ticks.iter().map(|tick| {
        [time(tick.tick_at.as_ref()), tick.local_time.clone(), shift(tick.shift()).to_owned()]
    });
    let shown = table(["TICK", "LOCAL TIME", ""], rows);
    if answer.skipped_local_times.is_empty() {
        return shown;
    }
    format!("{shown}\nClocks skip, and so no tick: {}", answer.skipped_local_times.join(", "))
}

/// The sentences first, then what they stand on.
pub(crate) fn explanation(answer: &proto::ExplainTickResponse) -> String {
    let decided = answer.decided.clone().unwrap_or_default();
    let revision = answer.revision.clone().unwrap_or_default();
    let settings = revision.scheduled_job.clone().unwrap_or_default();
    let by = if revision.changed_by.is_empty() { "nobody" } else { revision.changed_by.as_str() };
    let changed = short(revision.change().as_str_name(), "REVISION_CHANGE_");
    let since = time(revision.valid_from.as_ref());
    let held = format!("revision {}: {changed} by {by}, since {since}", revision.number);
    let mut lines = vec![
        ("State", short(answer.state().as_str_name(), "TICK_STATE_")),
        ("Local time", answer.tick.as_ref().map(|t| t.local_time.clone()).unwrap_or_default()),
        ("Decision", answer.decided.as_ref().map_or_else(String::new, decision)),
        ("Run", decided.job_id),
        ("Run status", answer.scraping_job.as_ref().map_or_else(String::new, super::run_status)),
        ("Decided at", decided.decided_at.as_ref().map(instant).unwrap_or_default()),
        ("Server", decided.server),
        ("Settings", if revision.number > 0 { held } else { String::new() }),
        ("Cron", format!("{} ({})", settings.cron_expression, settings.timezone)),
    ];
    lines.extend(answer.depends_on.iter().map(|text| ("If", text.clone())));
    lines.push(("Tick before", answer.previous_tick_at.as_ref().map(instant).unwrap_or_default()));
    lines.push(("Tick after", answer.next_tick_at.as_ref().map(instant).unwrap_or_default()));
    format!("{}\n\n{}", super::clean(&answer.explanation), details(lines))
}

pub(crate) fn backfilled(answer: &proto::BackfillScheduledJobResponse, verb: &str) -> String {
    let rows = answer.ticks.iter().map(|tick| {
        let outcome = short(tick.outcome().as_str_name(), "BACKFILL_OUTCOME_");
        [time(tick.tick_at.as_ref()), outcome, tick.job_id.clone()]
    });
    let shown = table(["TICK", "OUTCOME", "RUN"], rows);
    let (made, all) = (answer.created_count, answer.ticks.len());
    format!("{shown}\n{made} runs of {all} ticks {verb}")
}

fn decision(tick: &proto::DecidedTick) -> String {
    short(tick.decision().as_str_name(), "TICK_DECISION_")
}

fn shift(shift: proto::TickShift) -> &'static str {
    match shift {
        proto::TickShift::Unspecified | proto::TickShift::None => "",
        proto::TickShift::GapMoved => "clocks skip it: moved behind the gap",
        proto::TickShift::FoldFirst => "clocks show it twice: the first time",
        proto::TickShift::FoldSecond => "clocks show it twice: the second time",
    }
}

pub(crate) fn decided_ticks(answer: &proto::ListTicksResponse) -> String {
    let rows = answer.ticks.iter().map(|tick| {
        let range = if tick.count > 1 { time(tick.until.as_ref()) } else { String::new() };
        let decision = decision(tick);
        let outcome = if tick.job_id.is_empty() { &tick.reason } else { &tick.job_id };
        [time(tick.tick_at.as_ref()), range, tick.count.to_string(), decision, outcome.clone()]
    });
    let shown = table(["TICK", "UNTIL", "TICKS", "DECISION", "RUN OR REASON"], rows);
    let entries = format!("{} entries", answer.ticks.len());
    format!("{shown}\n{}", page_end(&entries, &answer.next_page_token))
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
        let ticks = vec![tick];
        let shown = decided_ticks(&proto::ListTicksResponse { ticks, ..Default::default() });
        assert!(
            shown.contains("1970-01-01T00:03:00Z  3      paused    the job was paused"),
            "{shown}"
        );
    }
}
