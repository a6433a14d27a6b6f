//! Valid and invalid transitions.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::*;
use crate::domain::id::ScheduledJobId;
use crate::domain::labels::Labels;
use crate::domain::parameters::ScrapeParameters;
use crate::domain::policy::RunPolicy;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn steady() -> RunPolicy {
    RunPolicy { backoff_jitter: Some(0.0), ..RunPolicy::default() }
}

fn pending() -> Run {
    Run::new(new_run(), at(0), 7)
}

fn new_run() -> NewRun {
    NewRun {
        origin: Origin::Triggered,
        scheduled_job_id: Some(ScheduledJobId::parse("sold_daily").unwrap()),
        original_job_id: None,
        priority: Priority::Immediate,
        parameters: ScrapeParameters {
            locations: vec!["46220".to_owned(), "46221".to_owned()],
            ..ScrapeParameters::default()
        },
        requested_by: "anonymous".to_owned(),
        labels: Labels::new(),
        tick_at: None,
        available_at: None,
        queued: false,
        policy: steady(),
    }
}

fn leased() -> Event {
    Event::Leased { worker_id: "w".to_owned(), lease: Duration::from_secs(20) }
}

fn failed(attempt: i32) -> Event {
    Event::AttemptFailed { attempt, reason: "no network".to_owned(), permanent: false }
}

fn done(location: &str) -> LocationResult {
    LocationResult { location: location.to_owned(), failure: None }
}

fn failed_at(location: &str, permanent: bool) -> LocationResult {
    let failure = Some(Failure { reason: "no such place".to_owned(), permanent });
    LocationResult { location: location.to_owned(), failure }
}

fn progressed(attempt: i32, results: Vec<LocationResult>) -> Event {
    Event::Progressed { attempt, found: Counts::default(), results }
}

fn nothing_new(attempt: i32) -> Event {
    progressed(attempt, Vec::new())
}

fn after(run: Run, events: impl IntoIterator<Item = Event>) -> Run {
    events
        .into_iter()
        .zip(1..)
        .fold(run, |run, (event, second)| run.apply(event, at(second)).unwrap())
}

#[test]
fn a_run_is_leased_progresses_and_completes() {
    let counts = Counts { scraped: 3, saved: 2, updated: 0, skipped: 0, duplicate: 1 };
    let progressed = Event::Progressed { attempt: 1, found: counts, results: vec![done("46220")] };
    let run = after(pending(), [leased(), progressed, Event::Done { attempt: 1 }]);
    assert_eq!(
        (run.state.status, run.state.revision, run.state.attempt),
        (Status::Completed, 4, 1)
    );
    assert_eq!((run.state.started_at, run.state.completed_at), (Some(at(1)), Some(at(3))));
    assert_eq!(
        (run.state.counts, run.state.progress.completed_locations(), run.state.lease),
        (counts, 1, None)
    );
}

#[test]
fn a_failed_attempt_is_retried_later_and_the_third_failure_is_final() {
    let once = after(pending(), [leased(), failed(1)]);
    assert_eq!((once.state.status, once.state.available_at), (Status::Pending, at(3)));
    assert_eq!(once.state.error_message, "no network");
    let thrice = after(once, [leased(), failed(2), leased(), failed(3)]);
    assert_eq!((thrice.state.status, thrice.state.attempt), (Status::Failed, 3));
}

#[test]
fn events_of_earlier_attempts_are_rejected() {
    let second = after(pending(), [leased(), failed(1), leased()]);
    for stale in
        [Event::Done { attempt: 1 }, failed(1), Event::Released { attempt: 1 }, nothing_new(1)]
    {
        assert!(second.clone().apply(stale, at(9)).is_err());
    }
}

#[test]
fn a_lease_is_lost_only_after_it_expired() {
    let run = after(pending(), [leased()]);
    assert!(run.clone().apply(Event::LeaseExpired, at(20)).is_err());
    let lost = run.apply(Event::LeaseExpired, at(21)).unwrap();
    assert_eq!(lost.state.status, Status::Pending);
    assert!(lost.state.error_message.contains("no heartbeat"));
}

#[test]
fn a_cancel_ends_a_pending_run_and_marks_a_running_one() {
    let cancelled = after(pending(), [Event::CancelRequested]);
    assert_eq!(
        (cancelled.state.status, cancelled.state.completed_at),
        (Status::Cancelled, Some(at(1)))
    );
    let marked = after(pending(), [leased(), Event::CancelRequested]);
    assert_eq!(
        (marked.state.status, marked.state.cancel_requested_at),
        (Status::Running, Some(at(2)))
    );
    let noticed = after(marked.clone(), [Event::CancelNoticed { attempt: 1 }]);
    assert_eq!(noticed.state.status, Status::Cancelled);
    let completed = after(marked.clone(), [Event::Done { attempt: 1 }]);
    assert_eq!(
        completed.state.status,
        Status::Completed,
        "a completion before the worker noticed the cancellation counts"
    );
    assert_eq!(after(marked.clone(), [failed(1)]).state.status, Status::Cancelled);
    assert_eq!(marked.apply(Event::LeaseExpired, at(99)).unwrap().state.status, Status::Cancelled);
}

#[test]
fn a_released_attempt_does_not_count() {
    let run = after(pending(), [leased(), Event::Released { attempt: 1 }]);
    assert_eq!((run.state.status, run.state.available_at), (Status::Pending, at(2)));
    assert_eq!(run.state.max_attempts - run.state.attempt, crate::domain::policy::MAX_ATTEMPTS);
}

#[test]
fn a_released_attempt_has_no_error_not_even_that_of_an_earlier_one() {
    let run = after(pending(), [leased(), failed(1), leased(), Event::Released { attempt: 2 }]);
    assert_eq!(run.state.error_message, "");
}

#[test]
fn nothing_changes_a_final_state() {
    let done = after(pending(), [leased(), Event::Done { attempt: 1 }]);
    for event in [
        leased(),
        failed(1),
        Event::Done { attempt: 1 },
        Event::Released { attempt: 1 },
        Event::CancelRequested,
        Event::CancelNoticed { attempt: 1 },
        Event::LeaseExpired,
        Event::DeadlinePassed,
        nothing_new(1),
    ] {
        assert!(done.clone().apply(event, at(9)).is_err());
    }
}

#[test]
fn urgent_runs_rank_before_older_ones() {
    let urgent = pending();
    let mut normal = pending();
    let spec = Arc::make_mut(&mut normal.spec);
    (spec.priority, spec.created_at) = (Priority::Normal, at(-3_600));
    assert!(urgent.spec.rank_at() < normal.spec.rank_at());
}

#[test]
fn a_run_triggered_from_a_run_is_named_like_a_one_off_and_stays_linked() {
    let first = pending();
    let new = NewRun { original_job_id: Some(first.spec.id.clone()), ..new_run() };
    let second = Run::new(new, at(5), 7);
    assert_eq!(second.spec.id.as_str(), "immediate_1800000005_000000000007");
    assert_eq!(second.spec.scheduled_job_id, first.spec.scheduled_job_id);
}

#[test]
fn a_retry_skips_completed_locations() {
    let first = progressed(1, vec![done("46220"), failed_at("46221", false)]);
    let lost = after(pending(), [leased(), first, failed(1)]);
    assert_eq!(lost.remaining_locations(), ["46221"]);
    let again = after(lost, [leased(), progressed(2, vec![done("46221")])]);
    assert_eq!(again.state.progress.completed_locations(), 2);
    let ended = again.apply(Event::Done { attempt: 2 }, at(9)).unwrap();
    assert_eq!((ended.state.status, ended.state.error_message.as_str()), (Status::Completed, ""));
}

#[test]
fn an_attempt_whose_errors_are_all_permanent_fails_the_run() {
    let all = |permanent| {
        let results = vec![failed_at("46220", true), failed_at("46221", permanent)];
        after(pending(), [leased(), progressed(1, results), Event::Done { attempt: 1 }])
    };
    assert_eq!(all(true).state.status, Status::Failed);
    assert_eq!(all(false).state.status, Status::Pending);
    let broken = Event::AttemptFailed { attempt: 1, reason: "no key".to_owned(), permanent: true };
    assert_eq!(after(pending(), [leased(), broken]).state.status, Status::Failed);
}

#[test]
fn an_attempt_that_times_out_loses_its_lease_despite_heartbeats() {
    let policy = RunPolicy { attempt_timeout: Some(Duration::from_secs(25)), ..steady() };
    let mut run =
        Run::new(NewRun { policy, ..new_run() }, at(0), 7).apply(leased(), at(0)).unwrap();
    for second in [10, 20, 24] {
        run = run.apply(nothing_new(1), at(second)).unwrap();
    }
    assert_eq!(run.state.lease.as_ref().unwrap().expires_at, at(25));
    let lost = run.apply(Event::LeaseExpired, at(25)).unwrap();
    assert_eq!(lost.state.error_message, "attempt timeout of 25s exceeded");
}

#[test]
fn a_run_fails_at_its_deadline_whether_started_or_not() {
    let policy = RunPolicy { run_timeout: Some(Duration::from_secs(30)), ..steady() };
    let run = Run::new(NewRun { policy, ..new_run() }, at(0), 7);
    assert!(run.clone().apply(Event::DeadlinePassed, at(29)).is_err());
    let never = run.clone().apply(Event::DeadlinePassed, at(30)).unwrap();
    assert_eq!((never.state.status, never.state.attempt), (Status::Failed, 0));
    let late = run.clone().apply(leased(), at(20)).unwrap();
    assert_eq!(late.state.lease.as_ref().unwrap().expires_at, at(30), "not beyond the deadline");
    assert_eq!(late.clone().apply(failed(1), at(25)).unwrap().state.status, Status::Pending);
    let ended = late.apply(failed(1), at(29)).unwrap();
    assert_eq!(ended.state.status, Status::Failed, "no time is left for another attempt");
    assert!(ended.state.error_message.contains("no network"), "{}", ended.state.error_message);
}

#[test]
fn a_worker_that_ignores_a_cancel_loses_its_lease() {
    let run = after(pending(), [leased(), Event::CancelRequested]);
    let run = run.apply(nothing_new(1), at(11)).unwrap();
    assert_eq!(run.state.lease.as_ref().unwrap().expires_at, at(12));
    let ended = run.apply(Event::LeaseExpired, at(12)).unwrap();
    assert_eq!(ended.state.status, Status::Cancelled);
    assert!(ended.state.error_message.contains("did not stop"), "{}", ended.state.error_message);
}

#[test]
fn a_retry_of_failed_locations_is_named_and_linked() {
    let first = pending();
    let new = |scheduled_job_id| NewRun {
        origin: Origin::Retry,
        scheduled_job_id,
        original_job_id: Some(first.spec.id.clone()),
        ..new_run()
    };
    let linked = Run::new(new(first.spec.scheduled_job_id.clone()), at(5), 7);
    assert_eq!(linked.spec.id.as_str(), "retry_sold_daily_1800000005_000000000007");
    assert_eq!(Run::new(new(None), at(5), 7).spec.id.as_str(), "retry_1800000005_000000000007");
}
