//! What becomes of the ticks that are due: which one fires, and why the others do not.
//!
//! The watermark is the gate: every tick at or before it is decided, for ever. A decision covers
//! every tick after the watermark up to now, so that each tick is decided once and has its row in
//! the ledger, alone or in a range.

use chrono::{DateTime, Utc};

use super::id::RunId;
use super::schedule::Schedule;
use super::scheduled_job::{Gate, Status};
use super::text::words;

/// Ranges count their ticks up to here; longer ones have at least so many.
pub const COUNT_LIMIT: u64 = 10_000;

words! {
    /// What was decided.
    Decision {
        /// It made a run.
        Fired = "fired",
        /// The run of an earlier tick had not ended.
        Skipped = "skipped",
        /// Nobody was there in time, and a later tick was due already.
        Missed = "missed",
        /// Ticks made no runs then.
        Paused = "paused",
    }
}

/// One tick or a range of ticks, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The tick, or the first of a range.
    pub tick_at: DateTime<Utc>,
    /// The last of a range, else the tick.
    pub until: DateTime<Utc>,
    /// How many, counted up to [`COUNT_LIMIT`].
    pub count: u64,
    /// What was decided.
    pub decision: Decision,
    /// Why, as a phrase; empty if it fired.
    pub reason: String,
}

/// The decision about all that is due: the rows of the ledger and the gate after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// In order of time; at most one of them fired, and it is the last.
    pub decided: Vec<Decided>,
    /// The gate with its watermark at `now`.
    pub gate: Gate,
}

/// Decides everything that is due at `now`. `unfinished` is a run of an earlier tick that has not
/// ended; triggered runs do not count.
///
/// Catch-up is "latest only": of several due ticks the last one fires and the others are missed.
/// Overlap is "skip". A pause that ran out is ended first, at its own end. While the gate is closed
/// nothing is due.
pub fn decide(
    schedule: &Schedule,
    gate: Gate,
    unfinished: Option<&RunId>,
    now: DateTime<Utc>,
) -> Verdict {
    // A clock that stepped back decides nothing: the watermark never moves back.
    let now = now.max(gate.watermark);
    let (mut decided, gate) = match gate.pause_end(now) {
        Some(end) => {
            let (held, gate) = pass_held(schedule, gate, end);
            (held, gate.with_status(Status::Active, schedule))
        }
        None => (Vec::new(), gate),
    };
    if !gate.is_open() {
        return Verdict { decided, gate };
    }
    if let Some(latest) = schedule.latest_in(gate.watermark, now) {
        decided.extend(missed_before(schedule, gate.watermark, latest));
        decided.push(decide_one(latest, unfinished));
    }
    Verdict { decided, gate: Gate { watermark: now, ..gate }.armed(schedule) }
}

/// Like [`decide`], but also decides the ticks of a closed gate, which made no runs: what somebody
/// does who is about to change settings or status, so that the old ones hold up to now.
pub fn settle(
    schedule: &Schedule,
    gate: Gate,
    unfinished: Option<&RunId>,
    now: DateTime<Utc>,
) -> Verdict {
    let now = now.max(gate.watermark);
    let mut verdict = decide(schedule, gate, unfinished, now);
    let (held, gate) = pass_held(schedule, verdict.gate, now);
    verdict.decided.extend(held);
    Verdict { gate, ..verdict }
}

/// The row of the ticks up to `at` that made no runs because the gate was closed, and the gate with
/// its watermark there.
fn pass_held(schedule: &Schedule, gate: Gate, at: DateTime<Utc>) -> (Vec<Decided>, Gate) {
    let reason = match (gate.deleted_at, gate.status) {
        (Some(_), _) => "the job was deleted",
        (None, Status::Paused) => "the job was paused",
        (None, Status::Inactive) => "the job was inactive",
        (None, Status::Active) => return (Vec::new(), gate),
    };
    let row = range(schedule, gate.watermark, at, Decision::Paused, reason);
    (row.into_iter().collect(), Gate { watermark: gate.watermark.max(at), ..gate })
}

fn missed_before(
    schedule: &Schedule,
    watermark: DateTime<Utc>,
    latest: DateTime<Utc>,
) -> Option<Decided> {
    let until = latest - chrono::TimeDelta::microseconds(1);
    let reason = "no server decided it in time, and only the latest tick is caught up";
    range(schedule, watermark, until, Decision::Missed, reason)
}

fn decide_one(tick_at: DateTime<Utc>, unfinished: Option<&RunId>) -> Decided {
    let (decision, reason) = match unfinished {
        None => (Decision::Fired, String::new()),
        Some(run) => (Decision::Skipped, format!("run {run} of an earlier tick had not ended")),
    };
    Decided { tick_at, until: tick_at, count: 1, decision, reason }
}

fn range(
    schedule: &Schedule,
    after: DateTime<Utc>,
    until: DateTime<Utc>,
    decision: Decision,
    reason: &str,
) -> Option<Decided> {
    let tick_at = schedule.next_after(after).filter(|tick| *tick <= until)?;
    let until = schedule.latest_in(after, until)?;
    let count = schedule.count_in(after, until, COUNT_LIMIT);
    Some(Decided { tick_at, until, count, decision, reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-03-01T{text}Z").parse().unwrap()
    }

    fn hourly() -> Schedule {
        Schedule::parse("0 * * * *", "UTC").unwrap()
    }

    fn open() -> Gate {
        Gate::open(&hourly(), at("10:30:00"))
    }

    fn run() -> RunId {
        RunId::parse("scheduled_x_1_000000000000").unwrap()
    }

    fn rows(verdict: &Verdict) -> Vec<(DateTime<Utc>, DateTime<Utc>, u64, Decision)> {
        verdict.decided.iter().map(|d| (d.tick_at, d.until, d.count, d.decision)).collect()
    }

    #[test]
    fn nothing_is_due_before_the_first_tick() {
        let verdict = decide(&hourly(), open(), None, at("10:59:59"));
        assert_eq!(rows(&verdict), []);
        assert_eq!(verdict.gate.next_tick_at, Some(at("11:00:00")));
    }

    #[test]
    fn a_tick_fires_once() {
        let first = decide(&hourly(), open(), None, at("11:00:00"));
        assert_eq!(rows(&first), [(at("11:00:00"), at("11:00:00"), 1, Decision::Fired)]);
        assert_eq!(first.gate.next_tick_at, Some(at("12:00:00")));
        assert_eq!(rows(&decide(&hourly(), first.gate, None, at("11:00:00"))), []);
    }

    #[test]
    fn of_several_due_ticks_the_latest_fires_and_the_others_are_missed() {
        let verdict = decide(&hourly(), open(), None, at("14:10:00"));
        let missed = (at("11:00:00"), at("13:00:00"), 3, Decision::Missed);
        let fired = (at("14:00:00"), at("14:00:00"), 1, Decision::Fired);
        assert_eq!(rows(&verdict), [missed, fired]);
        assert_eq!(verdict.gate.watermark, at("14:10:00"));
    }

    #[test]
    fn a_tick_is_skipped_while_the_run_of_an_earlier_one_goes_on() {
        let verdict = decide(&hourly(), open(), Some(&run()), at("11:00:01"));
        assert_eq!(rows(&verdict), [(at("11:00:00"), at("11:00:00"), 1, Decision::Skipped)]);
    }

    #[test]
    fn a_clock_that_steps_back_reopens_nothing() {
        let gate = decide(&hourly(), open(), None, at("11:00:05")).gate;
        let verdict = decide(&hourly(), gate.clone(), None, at("10:50:00"));
        assert_eq!(verdict, Verdict { decided: Vec::new(), gate });
    }

    #[test]
    fn a_pause_ends_by_itself_at_its_own_end() {
        let gate = open().with_status(Status::Paused, &hourly());
        let gate = Gate { paused_until: Some(at("13:00:00")), ..gate };
        assert_eq!(rows(&decide(&hourly(), gate.clone(), None, at("12:30:00"))), []);
        let verdict = decide(&hourly(), gate, None, at("14:00:00"));
        let paused = (at("11:00:00"), at("13:00:00"), 3, Decision::Paused);
        let fired = (at("14:00:00"), at("14:00:00"), 1, Decision::Fired);
        assert_eq!(rows(&verdict), [paused, fired]);
        assert_eq!(verdict.gate.status, Status::Active);
    }

    #[test]
    fn settling_a_closed_gate_records_its_ticks_as_one_range() {
        let gate = open().with_status(Status::Inactive, &hourly());
        let verdict = settle(&hourly(), gate, None, at("12:30:00"));
        assert_eq!(rows(&verdict), [(at("11:00:00"), at("12:00:00"), 2, Decision::Paused)]);
        let resumed = verdict.gate.with_status(Status::Active, &hourly());
        assert_eq!(resumed.next_tick_at, Some(at("13:00:00")));
    }

    #[test]
    fn settling_an_open_gate_is_deciding() {
        let decided = decide(&hourly(), open(), None, at("11:00:00"));
        assert_eq!(settle(&hourly(), open(), None, at("11:00:00")), decided);
    }
}
