use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::domain::id::ScheduledJobId;
use crate::domain::parameters::{ScrapeParameters, SourceNames};
use crate::domain::policy::RunPolicy;
use crate::domain::run::Priority;
use crate::domain::scheduled_job::{History, Settings};
use crate::domain::tick_policy::{CatchUp, CatchUpMode, Overlap, TickPolicy};

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-03-01T{text}Z").parse().unwrap()
}

/// Hourly and active, with everything decided up to 10:30.
fn job(ticks: TickPolicy) -> ScheduledJob {
    let schedule = Schedule::parse("0 * * * *", "UTC").unwrap();
    let now = at("10:30:00");
    ScheduledJob {
        id: ScheduledJobId::parse("x").unwrap(),
        gate: ScheduleState::open(&schedule, now),
        settings: Settings {
            name: "X".to_owned(),
            schedule,
            parameters: ScrapeParameters::default(),
            priority: Priority::Normal,
            labels: BTreeMap::new(),
            policy: RunPolicy::default(),
            max_concurrent_runs: 0,
            ticks,
        },
        version: 1,
        created_at: now,
        updated_at: now,
        history: History::default(),
        revision: 1,
        problems: Vec::new(),
    }
}

fn usual() -> ScheduledJob {
    job(TickPolicy::default())
}

fn catching_up(mode: CatchUpMode, catch_up: &CatchUp, overlap: Overlap) -> ScheduledJob {
    let catch_up = CatchUp { mode: Some(mode), ..catch_up.clone() };
    job(TickPolicy { catch_up, overlap: Some(overlap), jitter: None })
}

fn overlapping(overlap: Overlap) -> ScheduledJob {
    job(TickPolicy { overlap: Some(overlap), ..TickPolicy::default() })
}

fn with_status(job: ScheduledJob, status: Status) -> ScheduledJob {
    let gate = job.gate.clone().with_status(status, &job.settings.schedule);
    ScheduledJob { gate, ..job }
}

fn run(number: u32) -> RunId {
    RunId::parse(&format!("scheduled_x_{number}_000000000000")).unwrap()
}

fn unfinished(numbers: &[u32]) -> TickContext {
    TickContext {
        unfinished: numbers.iter().map(|n| run(*n)).collect(),
        fired: Vec::new(),
        random: 7,
    }
}

fn rows(plan: &TickPlan) -> Vec<(&'static str, String, String, u64)> {
    let time = |at: DateTime<Utc>| at.format("%H:%M").to_string();
    let row = |d: &TickOutcome| (d.decision.into_str(), time(d.tick_at), time(d.until), d.count);
    plan.outcomes.iter().map(row).collect()
}

fn row(
    word: &'static str,
    first: &str,
    last: &str,
    count: u64,
) -> (&'static str, String, String, u64) {
    (word, first.to_owned(), last.to_owned(), count)
}

fn decided(job: &ScheduledJob, context: &TickContext, now: &str) -> TickPlan {
    decide(job, context, at(now))
}

#[test]
fn nothing_is_due_before_the_first_tick() {
    let plan = decided(&usual(), &unfinished(&[]), "10:59:59");
    assert_eq!(rows(&plan), []);
    assert_eq!(plan.gate.next_tick_at, Some(at("11:00:00")));
}

#[test]
fn a_tick_fires_once() {
    let first = decided(&usual(), &unfinished(&[]), "11:00:00");
    assert_eq!(rows(&first), [row("fired", "11:00", "11:00", 1)]);
    assert_eq!(first.outcomes[0].starts_at, Some(at("11:00:00")));
    assert_eq!(first.gate.next_tick_at, Some(at("12:00:00")));
    let after = ScheduledJob { gate: first.gate, ..usual() };
    assert_eq!(rows(&decided(&after, &unfinished(&[]), "11:00:00")), []);
}

#[test]
fn a_tick_that_fired_while_the_clock_was_ahead_does_not_fire_again() {
    let ahead = |ticks: &[&str]| TickContext {
        fired: ticks.iter().map(|tick| at(tick)).collect(),
        ..unfinished(&[])
    };
    assert_eq!(rows(&decided(&usual(), &ahead(&["11:00:00"]), "11:00:00")), []);
    let plan = decided(&usual(), &ahead(&["12:00:00"]), "14:10:00");
    assert_eq!(
        rows(&plan),
        [
            row("merged", "11:00", "11:00", 1),
            row("merged", "13:00", "13:00", 1),
            row("fired", "14:00", "14:00", 1)
        ]
    );
}

#[test]
fn of_several_due_ticks_the_latest_fires_and_the_others_are_merged_into_it() {
    let plan = decided(&usual(), &unfinished(&[]), "14:10:00");
    let expected = [row("merged", "11:00", "13:00", 3), row("fired", "14:00", "14:00", 1)];
    assert_eq!(rows(&plan), expected);
    assert_eq!(plan.gate.watermark, at("14:10:00"));
}

#[test]
fn a_tick_outside_of_the_window_creates_no_run() {
    let window =
        |hours| CatchUp { window: Some(Duration::from_hours(hours)), ..CatchUp::default() };
    let check = |mode, hours, now, expected: &[_]| {
        let job = catching_up(mode, &window(hours), Overlap::Allow);
        assert_eq!(rows(&decided(&job, &unfinished(&[]), now)), expected, "{mode} {hours} {now}");
    };
    let (old, fired) =
        (row("outside_window", "11:00", "12:00", 2), row("fired", "14:00", "14:00", 1));
    let merged = row("merged", "13:00", "13:00", 1);
    check(CatchUpMode::LatestOnly, 2, "14:10:00", &[old.clone(), merged, fired.clone()]);
    let made_up_for = row("fired", "13:00", "13:00", 1);
    check(CatchUpMode::All, 2, "14:10:00", &[old, made_up_for.clone(), fired.clone()]);
    // The end of the window belongs to it.
    let older = row("outside_window", "11:00", "12:00", 2);
    check(CatchUpMode::All, 1, "14:00:00", &[older, made_up_for, fired]);
    let all = row("outside_window", "11:00", "13:00", 3);
    let short = CatchUp { window: Some(Duration::from_mins(1)), ..CatchUp::default() };
    let job = catching_up(CatchUpMode::LatestOnly, &short, Overlap::Allow);
    assert_eq!(rows(&decided(&job, &unfinished(&[]), "13:30:00")), [all]);
}

#[test]
fn missed_ticks_can_be_skipped_after_a_grace_period() {
    let grace = CatchUp { grace: Some(Duration::from_secs(30)), ..CatchUp::default() };
    let job = catching_up(CatchUpMode::Skip, &grace, Overlap::Skip);
    let late = decided(&job, &unfinished(&[]), "13:00:31");
    assert_eq!(rows(&late), [row("missed", "11:00", "13:00", 3)]);
    let in_time = decided(&job, &unfinished(&[]), "13:00:30");
    assert_eq!(
        rows(&in_time),
        [row("missed", "11:00", "12:00", 2), row("fired", "13:00", "13:00", 1)]
    );
}

#[test]
fn all_missed_ticks_can_be_caught_up_to_a_limit() {
    let limit = CatchUp { limit: Some(2), ..CatchUp::default() };
    let job = catching_up(CatchUpMode::All, &limit, Overlap::Allow);
    let plan = decided(&job, &unfinished(&[]), "14:10:00");
    let expected = [
        row("missed", "11:00", "12:00", 2),
        row("fired", "13:00", "13:00", 1),
        row("fired", "14:00", "14:00", 1),
    ];
    assert_eq!(rows(&plan), expected);
}

#[test]
fn caught_up_ticks_obey_the_overlap_policy() {
    let fate = |overlap, said: &str| {
        let job = catching_up(CatchUpMode::All, &CatchUp::default(), overlap);
        assert!(
            job.settings.warnings(&SourceNames::default()).concat().contains(said),
            "{overlap}"
        );
        let plan = decided(&job, &unfinished(&[]), "14:10:00");
        let words = plan.outcomes.iter().map(|d| (d.decision.into_str(), d.count));
        (words.collect::<Vec<_>>(), plan.runs_to_cancel.len())
    };
    let skipped = ("skipped_overlap", 1);
    let one = fate(Overlap::Skip, "at most one of the missed ticks creates a run");
    assert_eq!(one, (vec![("fired", 1), skipped, skipped, skipped], 0));
    let full = ("queue_full", 1);
    let two = fate(Overlap::Queue, "at most two of the missed ticks create runs");
    assert_eq!(two, (vec![("fired", 1), ("fired", 1), full, full], 0));
    let latest = fate(Overlap::CancelRunning, "only the latest of the missed ticks creates a run");
    assert_eq!(latest, (vec![("merged", 3), ("fired", 1)], 0));
    let job = catching_up(CatchUpMode::All, &CatchUp::default(), Overlap::Allow);
    assert!(job.settings.warnings(&SourceNames::default()).is_empty());
    assert_eq!(rows(&decided(&job, &unfinished(&[]), "14:10:00")).len(), 4);
}

#[test]
fn the_overlap_policy_decides_about_a_tick_during_an_earlier_run() {
    let check = |overlap, before: &[u32], word, blocking: Option<u32>, cancelled: &[u32]| {
        let plan = decided(&overlapping(overlap), &unfinished(before), "11:00:01");
        let decided = &plan.outcomes[0];
        assert_eq!(decided.decision.into_str(), word, "{overlap} {before:?}");
        assert_eq!(decided.blocking, blocking.map(run), "{overlap} {before:?}");
        assert_eq!(decided.reason.is_empty(), blocking.is_none(), "{overlap} {before:?}");
        assert_eq!(plan.runs_to_cancel, cancelled.iter().map(|n| run(*n)).collect::<Vec<_>>());
    };
    for overlap in [Overlap::Skip, Overlap::Queue, Overlap::Allow, Overlap::CancelRunning] {
        check(overlap, &[], "fired", None, &[]);
    }
    check(Overlap::Skip, &[1, 2], "skipped_overlap", Some(1), &[]);
    check(Overlap::Queue, &[1], "fired", Some(1), &[]);
    check(Overlap::Queue, &[1, 2], "queue_full", Some(2), &[]);
    check(Overlap::Allow, &[1, 2, 3], "fired", None, &[]);
    check(Overlap::CancelRunning, &[1, 2], "fired", Some(2), &[1, 2]);
}

#[test]
fn jitter_moves_the_start_and_not_the_tick() {
    let job = job(TickPolicy { jitter: Some(Duration::from_hours(1)), ..TickPolicy::default() });
    let plan = decided(&job, &unfinished(&[]), "11:00:00");
    assert_eq!(rows(&plan), [row("fired", "11:00", "11:00", 1)]);
    let starts_at = plan.outcomes[0].starts_at.unwrap();
    assert!(starts_at > at("11:00:00") && starts_at <= at("12:00:00"), "{starts_at}");
}

#[test]
fn a_clock_that_steps_back_reopens_nothing() {
    let gate = decided(&usual(), &unfinished(&[]), "11:00:05").gate;
    let after = ScheduledJob { gate: gate.clone(), ..usual() };
    let plan = decided(&after, &unfinished(&[]), "10:50:00");
    assert_eq!((rows(&plan), plan.gate), (Vec::new(), gate));
}

#[test]
fn a_pause_ends_at_its_set_time() {
    let job = with_status(usual(), Status::Paused);
    let gate = ScheduleState { paused_until: Some(at("13:00:00")), ..job.gate.clone() };
    let job = ScheduledJob { gate, ..job };
    assert_eq!(rows(&decided(&job, &unfinished(&[]), "12:30:00")), []);
    let plan = decided(&job, &unfinished(&[]), "14:00:00");
    let expected = [row("paused", "11:00", "13:00", 3), row("fired", "14:00", "14:00", 1)];
    assert_eq!(rows(&plan), expected);
    assert_eq!(plan.gate.status, Status::Active);
    assert_eq!(plan.pause_ended, Some(at("13:00:00")));
}

#[test]
fn ticks_of_a_paused_job_are_one_range_in_the_ledger() {
    let job = with_status(usual(), Status::Inactive);
    let plan = decide_up_to_now(&job, &unfinished(&[]), at("12:30:00"));
    assert_eq!(rows(&plan), [row("paused", "11:00", "12:00", 2)]);
    let resumed = plan.gate.with_status(Status::Active, &job.settings.schedule);
    assert_eq!(resumed.next_tick_at, Some(at("13:00:00")));
}

#[test]
fn deciding_up_to_now_in_an_active_job_is_a_normal_decision() {
    let decided = decided(&usual(), &unfinished(&[]), "11:00:00");
    assert_eq!(decide_up_to_now(&usual(), &unfinished(&[]), at("11:00:00")), decided);
}
