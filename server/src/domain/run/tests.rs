//! Every transition that fits, and every one that does not.

use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn pending() -> Run {
    let new = NewRun {
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
    };
    Run::new(new, at(0), 7)
}

fn leased() -> Event {
    Event::Leased { worker_id: "w".to_owned(), lease: Duration::from_secs(20) }
}

fn failed(attempt: i32) -> Event {
    Event::AttemptFailed { attempt, reason: "no network".to_owned() }
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
    let progress = Progress { completed_locations: 1, ..Progress::none_of(2) };
    let run = after(
        pending(),
        [
            leased(),
            Event::Progressed { attempt: 1, counts, progress: progress.clone() },
            Event::Completed { attempt: 1 },
        ],
    );
    assert_eq!((run.status, run.revision, run.attempt), (Status::Completed, 4, 1));
    assert_eq!((run.started_at, run.completed_at), (Some(at(1)), Some(at(3))));
    assert_eq!((run.counts, run.progress, run.lease), (counts, progress, None));
}

#[test]
fn a_failed_attempt_is_tried_again_later_and_the_third_is_final() {
    let once = after(pending(), [leased(), failed(1)]);
    assert_eq!((once.status, once.available_at), (Status::Pending, at(3)));
    assert_eq!(once.error_message, "no network");
    let thrice = after(once, [leased(), failed(2), leased(), failed(3)]);
    assert_eq!((thrice.status, thrice.attempt), (Status::Failed, 3));
}

#[test]
fn another_attempt_than_the_current_one_is_fenced_off() {
    let second = after(pending(), [leased(), failed(1), leased()]);
    let progress = Progress::none_of(2);
    for stale in [
        Event::Completed { attempt: 1 },
        failed(1),
        Event::Released { attempt: 1 },
        Event::Progressed { attempt: 1, counts: Counts::default(), progress },
    ] {
        assert!(second.clone().apply(stale, at(9)).is_err());
    }
}

#[test]
fn a_lease_is_taken_only_after_it_expired() {
    let run = after(pending(), [leased()]);
    assert!(run.clone().apply(Event::LeaseExpired, at(20)).is_err());
    let lost = run.apply(Event::LeaseExpired, at(21)).unwrap();
    assert_eq!(lost.status, Status::Pending);
    assert!(lost.error_message.contains("lost its lease"));
}

#[test]
fn a_cancel_ends_a_pending_run_and_marks_a_running_one() {
    let cancelled = after(pending(), [Event::CancelRequested]);
    assert_eq!((cancelled.status, cancelled.completed_at), (Status::Cancelled, Some(at(1))));
    let marked = after(pending(), [leased(), Event::CancelRequested]);
    assert_eq!((marked.status, marked.cancel_requested_at), (Status::Running, Some(at(2))));
    let noticed = after(marked.clone(), [Event::CancelNoticed { attempt: 1 }]);
    assert_eq!(noticed.status, Status::Cancelled);
    let completed = after(marked.clone(), [Event::Completed { attempt: 1 }]);
    assert_eq!(completed.status, Status::Completed, "a completion before the notice stands");
    assert_eq!(after(marked.clone(), [failed(1)]).status, Status::Cancelled);
    assert_eq!(marked.apply(Event::LeaseExpired, at(99)).unwrap().status, Status::Cancelled);
}

#[test]
fn a_released_attempt_does_not_count() {
    let run = after(pending(), [leased(), Event::Released { attempt: 1 }]);
    assert_eq!((run.status, run.available_at), (Status::Pending, at(2)));
    assert_eq!(run.max_attempts - run.attempt, retry::MAX_ATTEMPTS);
}

#[test]
fn nothing_changes_a_final_state() {
    let done = after(pending(), [leased(), Event::Completed { attempt: 1 }]);
    let progress = Progress::none_of(2);
    for event in [
        leased(),
        failed(1),
        Event::Completed { attempt: 1 },
        Event::Released { attempt: 1 },
        Event::CancelRequested,
        Event::CancelNoticed { attempt: 1 },
        Event::LeaseExpired,
        Event::Progressed { attempt: 1, counts: Counts::default(), progress },
    ] {
        assert!(done.clone().apply(event, at(9)).is_err());
    }
}

#[test]
fn urgent_runs_rank_before_older_ones() {
    let urgent = pending();
    let normal = Run { priority: Priority::Normal, created_at: at(-3_600), ..pending() };
    assert!(urgent.rank_at() < normal.rank_at());
}

#[test]
fn a_run_made_from_a_run_is_named_like_a_one_off_and_stays_linked() {
    let first = pending();
    let new = NewRun {
        origin: Origin::Triggered,
        scheduled_job_id: first.scheduled_job_id.clone(),
        original_job_id: Some(first.id.clone()),
        priority: Priority::Immediate,
        parameters: first.parameters.clone(),
        requested_by: String::new(),
        labels: Labels::new(),
        tick_at: None,
        available_at: None,
    };
    let second = Run::new(new, at(5), 7);
    assert_eq!(second.id.as_str(), "immediate_1800000005_000000000007");
    assert_eq!(second.scheduled_job_id, first.scheduled_job_id);
}
