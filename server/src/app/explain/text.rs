//! The sentences of explanations.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::{Explanation, TickState};
use crate::app::error::join_violations;
use crate::domain::id::RunId;
use crate::domain::ledger::LedgerEntry;
use crate::domain::scheduled_job::ScheduledJob;
use crate::domain::tick::{Decision, TickOutcome};
use crate::domain::tick_policy::Overlap;

/// The decision about a past tick, with its reason and its server.
pub(super) fn decided(entry: &LedgerEntry) -> String {
    let TickOutcome { tick_at, until, count, decision, reason, .. } = &entry.decided;
    let by = if *count > 1 {
        format!("Server {} decided this at {}.", entry.server, time(entry.decided_at))
    } else {
        let late = humantime::format_duration(whole_millis(entry.decided_at - *until));
        format!("Server {} decided this {late} after the tick.", entry.server)
    };
    let text = match decision {
        Decision::Fired => fired(entry),
        Decision::Paused => {
            let recorded = time(entry.decided_at);
            return format!(
                "No run was created: {reason}. Recorded at {recorded}.{}",
                range(entry)
            );
        }
        Decision::SkippedOverlap
        | Decision::QueueFull
        | Decision::Merged
        | Decision::Missed
        | Decision::OutsideWindow => format!("No run was created: {reason}."),
    };
    let jitter = entry.decided.starts_at.filter(|start| start > tick_at).map(time);
    let jitter =
        jitter.map(|start| format!(" Because of jitter, the run could not start before {start}."));
    let range = if *count > 1 { range(entry) } else { String::new() };
    format!("{text} {by}{range}{}", jitter.unwrap_or_default())
}

fn fired(entry: &LedgerEntry) -> String {
    let run = entry.job_id.as_deref().unwrap_or_default();
    match entry.decided.reason.as_str() {
        "" => format!("The tick created run {run}."),
        reason => format!("The tick created run {run}; {reason}."),
    }
}

fn range(entry: &LedgerEntry) -> String {
    let TickOutcome { tick_at, until, count, .. } = &entry.decided;
    match count {
        1 => String::new(),
        _ => format!(
            " The same applies to all {count} ticks from {} to {}.",
            time(*tick_at),
            time(*until)
        ),
    }
}

/// The prediction for a future tick, from the current state of the job. `missing` is the sentence about its source.
pub(super) fn future(job: &ScheduledJob, instant: DateTime<Utc>, missing: Option<&str>) -> String {
    if let Some(obstacle) = job.gate.obstacle_at(instant) {
        return format!("No run will be created: {obstacle}.");
    }
    let starts_at = job.settings.ticks.starts_at(&job.id, instant);
    let jitter = (starts_at > instant).then(|| time(starts_at));
    let jitter = jitter.map(|start| format!(" Because of jitter, it cannot start before {start}."));
    let missing = missing.map(waits).unwrap_or_default();
    format!("A run will be created.{}{missing}", jitter.unwrap_or_default())
}

/// The reason why a run that exists, or will, does not start.
pub(super) fn waits(missing: &str) -> String {
    format!(" But {missing}.")
}

/// The conditions under which a future tick creates its run. `unfinished` are active runs of earlier ticks.
pub(super) fn depends_on(job: &ScheduledJob, unfinished: &[RunId]) -> Vec<String> {
    let policy = &job.settings.ticks;
    let overlap = match policy.overlap() {
        Overlap::Allow => None,
        Overlap::Skip => {
            Some("if a run of an earlier tick is active at that time, the tick is skipped")
        }
        Overlap::Queue => Some(
            "if a run of an earlier tick is active at that time, the new run waits for its end; if \
             another run is already waiting, the tick is skipped",
        ),
        Overlap::CancelRunning => Some(
            "runs of earlier ticks that are active at that time are cancelled; the new run waits \
             for their end",
        ),
    };
    let active = unfinished.first().map(|run| format!(" (run {run} is active now)"));
    let overlap = overlap.map(|text| format!("{text}{}", active.unwrap_or_default()));
    let mode = policy.catch_up.mode();
    let caught_up = policy.caught_up().map(|clause| format!(": {clause}")).unwrap_or_default();
    let servers = format!(
        "a server is running at that time; otherwise the catch-up policy ({mode}) applies{caught_up}"
    );
    let settings = "the settings and the status of the job do not change before then".to_owned();
    overlap.into_iter().chain([servers, settings]).collect()
}

/// The answer about a tick that was left to another system.
pub(super) fn before_import(imported_at: DateTime<Utc>) -> String {
    let imported_at = time(imported_at);
    format!("The job was not here yet: it was imported at {imported_at}, without earlier ticks.")
}

/// The reason why there is no decision. `settings` are the ones that were valid at the instant.
pub(super) fn undecided(
    state: TickState,
    job: &ScheduledJob,
    settings: &ScheduledJob,
    explanation: &Explanation,
) -> String {
    match state {
        TickState::BeforeCreation => {
            format!("The job did not exist yet: it was created at {}.", time(job.created_at))
        }
        TickState::Due => "The tick is due; a server decides it within about a second.".to_owned(),
        TickState::Expired => {
            "The tick is older than the retained ledger; its decision is no longer known."
                .to_owned()
        }
        TickState::NotATick if !settings.problems.is_empty() => {
            format!(
                "Nothing was due then, because the settings are invalid: {}.",
                join_violations(&settings.problems)
            )
        }
        TickState::NotATick => {
            let schedule = &settings.settings.schedule;
            let near = |which: &str, tick: Option<DateTime<Utc>>| {
                tick.map(|tick| format!(" The {which} tick is at {}.", time(tick)))
                    .unwrap_or_default()
            };
            let (expression, zone) = (schedule.cron_expression(), schedule.timezone());
            let (before, after) =
                (near("previous", explanation.previous), near("next", explanation.next));
            let end = if explanation.next.is_none() { schedule.end() } else { None };
            let end = end.map(|end| format!(" No later one is known: {end}.")).unwrap_or_default();
            format!("'{expression}' ({zone}) is not due then.{before}{after}{end}")
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
