//! Ticks, for people.

use windrow_client::proto;

use super::table::table;
use super::{page_end, short, time};

pub(crate) fn ticks(answer: &proto::PreviewTicksResponse) -> String {
    let rows = answer.ticks.iter().map(|tick| {
        [time(tick.tick_at.as_ref()), tick.local_time.clone(), shift(tick.shift()).to_owned()]
    });
    table(["TICK", "LOCAL TIME", ""], rows)
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
        let decision = short(tick.decision().as_str_name(), "TICK_DECISION_");
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
