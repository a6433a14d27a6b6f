//! Explanations in sentences.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::{Explanation, TickState};
use crate::app::LedgerEntry;
use crate::app::error::join_violations;
use crate::domain::id::RunId;
use crate::domain::scheduled_job::{ScheduledJob, Status};
use crate::domain::tick::{Decision, TickOutcome};
use crate::domain::tick_policy::Overlap;

/// What was decided, by whom and why.
pub(super) fn decided(entry: &LedgerEntry) -> String {
    let TickOutcome { tick_at, until, count, decision, reason, .. } = &entry.decided;
    let late = humantime::format_duration(whole_millis(entry.decided_at - *until));
    let by = format!("Server {} decided it {late} after its time.", entry.server);
    let text = match decision {
        Decision::Fired => fired(entry),
        Decision::Paused => {
            let recorded = time(entry.decided_at);
            return format!(
                "It made no run: {reason}. That was recorded at {recorded}.{}",
                range(entry)
            );
        }
        Decision::SkippedOverlap
        | Decision::QueueFull
        | Decision::Merged
        | Decision::Missed
        | Decision::OutsideWindow => format!("It made no run: {reason}."),
    };
    let jitter = entry.decided.starts_at.filter(|start| start > tick_at).map(time);
    let jitter =
        jitter.map(|start| format!(" Jitter let the run begin at {start} at the earliest."));
    let range = if *count > 1 { range(entry) } else { String::new() };
    format!("{text} {by}{range}{}", jitter.unwrap_or_default())
}

fn fired(entry: &LedgerEntry) -> String {
    let run = entry.job_id.as_deref().unwrap_or_default();
    match entry.decided.reason.as_str() {
        "" => format!("It made run {run}."),
        reason => format!("It made run {run}; {reason}."),
    }
}

fn range(entry: &LedgerEntry) -> String {
    let TickOutcome { tick_at, until, count, .. } = &entry.decided;
    match count {
        1 => String::new(),
        _ => format!(
            " It is one of {count} ticks from {} to {} that share this fate.",
            time(*tick_at),
            time(*until)
        ),
    }
}

/// What would become of a tick that is to come, as the job is now.
pub(super) fn future(job: &ScheduledJob, instant: DateTime<Utc>) -> String {
    if let Some(held) = held_at(job, instant) {
        return format!("It will make no run: {held}.");
    }
    let starts_at = job.settings.ticks.starts_at(&job.id, instant);
    if starts_at > instant {
        let start = time(starts_at);
        format!("It will make a run that may begin at {start}, by the job's jitter.")
    } else {
        "It will make a run.".to_owned()
    }
}

fn held_at(job: &ScheduledJob, instant: DateTime<Utc>) -> Option<String> {
    let gate = &job.gate;
    match (gate.deleted_at, gate.status) {
        (Some(_), _) => Some("the job is deleted".to_owned()),
        (None, Status::Active) => None,
        (None, Status::Inactive) => Some("the job is inactive".to_owned()),
        (None, Status::Paused) if gate.paused_until.is_some_and(|end| end < instant) => None,
        (None, Status::Paused) => {
            let until = gate.paused_until.map(|end| format!(" until {}", time(end)));
            let because = match gate.pause_reason.as_str() {
                "" => String::new(),
                reason => format!(" ({reason})"),
            };
            Some(format!("the job is paused{}{because}", until.unwrap_or_default()))
        }
    }
}

/// What has to hold for a tick that is to come to make its run. `unfinished` are runs of earlier ticks.
pub(super) fn depends_on(job: &ScheduledJob, unfinished: &[RunId]) -> Vec<String> {
    let overlap = match job.settings.ticks.overlap() {
        Overlap::Allow => None,
        Overlap::Skip => Some("a run of an earlier tick that goes on then makes it skipped"),
        Overlap::Queue => Some(
            "its run waits for a run of an earlier tick that goes on then; while another one waits \
             already it makes none",
        ),
        Overlap::CancelRunning => Some(
            "runs of earlier ticks that go on then are cancelled, and its run waits for their end",
        ),
    };
    let going_on = unfinished.first().map(|run| format!(" (run {run} goes on now)"));
    let overlap = overlap.map(|text| format!("{text}{}", going_on.unwrap_or_default()));
    let mode = job.settings.ticks.catch_up.mode();
    let servers =
        format!("a server is there in time, or else the catch-up policy decides ({mode})");
    let settings = "nobody changes settings or status of the job before".to_owned();
    overlap.into_iter().chain([servers, settings]).collect()
}

/// Why nothing is known of a decision. `settings` are those that held at the instant.
pub(super) fn undecided(
    state: TickState,
    job: &ScheduledJob,
    settings: &ScheduledJob,
    explanation: &Explanation,
) -> String {
    match state {
        TickState::BeforeCreation => {
            format!("The job did not exist: it was created at {}.", time(job.created_at))
        }
        TickState::Due => {
            "It is due, and a server will decide it within a second or so.".to_owned()
        }
        TickState::Expired => {
            "It was decided, but so long ago that the decision is not kept.".to_owned()
        }
        TickState::NotATick if !settings.problems.is_empty() => {
            format!(
                "Nothing was due then, as the settings cannot be read: {}.",
                join_violations(&settings.problems)
            )
        }
        TickState::NotATick => {
            let schedule = &settings.settings.schedule;
            let near = |which: &str, tick: Option<DateTime<Utc>>| {
                tick.map(|tick| format!(" The tick {which} is {}.", time(tick))).unwrap_or_default()
            };
            let (expression, zone) = (schedule.cron_expression(), schedule.timezone());
            let (before, after) =
                (near("before", explanation.previous), near("after", explanation.next));
            format!("'{expression}' in {zone} is not due then.{before}{after}")
        }
        TickState::Decided | TickState::Future => String::new(),
    }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn whole_millis(length: TimeDelta) -> Duration {
    Duration::from_millis(u64::try_from(length.num_milliseconds()).unwrap_or_default())
}
