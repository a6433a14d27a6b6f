//! Watches against a small server in this process that fails on purpose.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use super::*;
use crate::fake::End::{Closed, Silent};
use crate::fake::{Fake, Script, unused_address};
use crate::proto::{self, ScrapingJobStatus as S, WatchKind as Kind};
use crate::{Client, Code, Error, TriggerJob, WatchAll};

type One = Result<proto::WatchScrapingJobResponse, Status>;
type All = Result<proto::WatchScrapingJobsResponse, Status>;

fn one(scripts: Vec<Script<proto::WatchScrapingJobResponse>>) -> Fake {
    let fake = Fake::default();
    *fake.ones.lock().unwrap() = scripts;
    fake
}

fn all(scripts: Vec<Script<proto::WatchScrapingJobsResponse>>) -> Fake {
    let fake = Fake::default();
    *fake.alls.lock().unwrap() = scripts;
    fake
}

#[expect(clippy::unnecessary_wraps, reason = "as messages have it")]
fn run(id: &str, revision: i64, status: S) -> Option<proto::ScrapingJob> {
    let (job_id, status) = (id.to_owned(), status.into());
    Some(proto::ScrapingJob { job_id, revision, status, ..Default::default() })
}

#[expect(clippy::unnecessary_wraps, reason = "an entry of a script, beside errors")]
fn at(revision: i64, status: S) -> One {
    let (kind, scraping_job) = (Kind::Changed.into(), run("x", revision, status));
    let resume_token = format!("after {revision}");
    Ok(proto::WatchScrapingJobResponse { kind, scraping_job, resume_token, ..Default::default() })
}

fn stopping<T>() -> Result<T, Status> {
    Err(Status::unavailable("stopping"))
}

fn full<T>() -> Result<T, Status> {
    Err(Status::resource_exhausted("too many watches"))
}

fn because<T>(reason: &str) -> Result<T, Status> {
    let details = ErrorDetails::with_error_info(reason, "windrow", HashMap::new());
    Err(Status::with_error_details(Code::OutOfRange, reason, details))
}

#[expect(clippy::unnecessary_wraps, reason = "an entry of a script, beside errors")]
fn tell(kind: Kind, run: Option<proto::ScrapingJob>, token: &str) -> All {
    let (kind, resume_token) = (kind.into(), token.to_owned());
    Ok(proto::WatchScrapingJobsResponse {
        kind,
        scraping_job: run,
        resume_token,
        ..Default::default()
    })
}

async fn revisions(client: &Client, after_revision: i64) -> Result<Vec<i64>, Error> {
    client.watch_from("x", after_revision).map_ok(|run| run.revision).try_collect().await
}

fn short(event: Result<WatchEvent, Error>) -> String {
    match event {
        Ok(WatchEvent::Current(run)) => format!("current {}{}", run.job_id, run.revision),
        Ok(WatchEvent::Changed(run)) => format!("changed {}{}", run.job_id, run.revision),
        Ok(WatchEvent::Left(run)) => format!("left {}{}", run.job_id, run.revision),
        Ok(WatchEvent::Synced) => "synced".to_owned(),
        Ok(WatchEvent::Bookmark) => "bookmark".to_owned(),
        Ok(WatchEvent::Interrupted(error)) => format!("interrupted {:?}", error.code()),
        Ok(WatchEvent::Resynced(error)) => format!("resynced {error}"),
        Err(error) => format!("error {error}"),
    }
}

/// The events in short, up to an error or so many.
async fn told(client: &Client, watch: WatchAll, count: usize) -> Vec<String> {
    client.watch_all(watch).map(short).take(count).collect().await
}

#[tokio::test]
async fn a_broken_watch_resumes_without_gap_or_repeat() {
    let fake = one(vec![
        (vec![at(1, S::Pending), at(2, S::Running), stopping()], Closed),
        (vec![at(2, S::Running), at(3, S::Running), at(5, S::Completed)], Closed),
    ]);
    let client = fake.client().await;

    let seen = revisions(&client, 0).await.unwrap();

    assert_eq!(seen, [1, 2, 3, 5]);
    let asked = fake.watched_one.lock().unwrap();
    let asked: Vec<_> = asked.iter().map(|r| (r.after_revision, &*r.resume_token)).collect();
    assert_eq!(asked, [(Some(0), ""), (None, "after 2")]);
}

#[tokio::test]
async fn a_watch_of_one_run_tells_each_loss_once_and_when_it_goes_on() {
    let synced = || {
        let (kind, resume_token) = (Kind::Synced.into(), "after 1".to_owned());
        Ok(proto::WatchScrapingJobResponse { kind, resume_token, ..Default::default() })
    };
    let fake = one(vec![
        (vec![at(1, S::Running), synced(), stopping()], Closed),
        (vec![stopping()], Closed),
        (vec![synced(), stopping()], Closed),
        (vec![at(2, S::Completed)], Closed),
    ]);

    let told: Vec<_> = fake.client().await.watch_events("x", None).map(short).collect().await;

    let lost = "interrupted Unavailable";
    assert_eq!(told, ["changed x1", "synced", lost, "synced", lost, "changed x2"]);
}

#[tokio::test]
async fn a_watch_that_ends_too_early_is_resumed() {
    let fake = one(vec![(vec![at(1, S::Pending)], Closed), (vec![at(2, S::Cancelled)], Closed)]);
    assert_eq!(revisions(&fake.client().await, 0).await.unwrap(), [1, 2]);
}

#[tokio::test]
async fn a_watch_after_the_final_revision_is_empty() {
    let fake = one(vec![(vec![], Closed), (vec![at(7, S::Failed)], Closed)]);
    let client = fake.client().await;

    assert_eq!(revisions(&client, 7).await.unwrap(), [0_i64; 0]);
    assert_eq!(revisions(&client, 7).await.unwrap(), [0_i64; 0]);
}

#[tokio::test]
async fn a_watch_of_an_unknown_run_fails_at_once() {
    let error = revisions(&Fake::default().client().await, 0).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test]
async fn a_silent_watch_is_lost_and_goes_on_elsewhere() {
    let silent = one(vec![(vec![at(1, S::Pending)], Silent)]);
    let other = one(vec![(vec![at(2, S::Completed)], Closed)]);
    let client = Client::builder().server(silent.serve().await).server(unused_address().await);
    let client = client.server(other.serve().await).silence(Duration::from_millis(50));

    let seen = revisions(&client.connect().await.unwrap(), 0).await.unwrap();

    assert_eq!(seen, [1, 2]);
}

#[tokio::test]
async fn a_full_server_ends_a_watch_only_at_its_beginning() {
    let late = one(vec![
        (vec![at(1, S::Pending), stopping()], Closed),
        (vec![full()], Closed),
        (vec![at(2, S::Completed)], Closed),
    ]);
    assert_eq!(revisions(&late.client().await, 0).await.unwrap(), [1, 2]);

    let early = one(vec![(vec![full()], Closed), (vec![at(2, S::Completed)], Closed)]);
    let error = revisions(&early.client().await, 0).await.unwrap_err();
    assert!(matches!(error, Error::ResourceExhausted { .. }), "{error:?}");
}

#[tokio::test]
async fn a_watch_goes_on_elsewhere_than_at_a_full_server() {
    let first =
        one(vec![(vec![at(1, S::Pending), stopping()], Closed), (vec![at(2, S::Failed)], Closed)]);
    let second = one(vec![(vec![full()], Closed)]);
    let servers = format!("{},{}", first.serve().await, second.serve().await);
    let client = Client::connect(&servers).await.unwrap();

    assert_eq!(revisions(&client, 0).await.unwrap(), [1, 2]);
    assert_eq!(second.watched_one.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_wait_begins_again_where_only_the_end_matters() {
    for reason in ["TOKEN_EXPIRED", "FEED_RESET"] {
        let fake = one(vec![
            (vec![at(10, S::Running), stopping()], Closed),
            (vec![because(reason)], Closed),
            // A restored database may know of less.
            (vec![at(9, S::Failed)], Closed),
        ]);
        let client = fake.client().await;

        let end = client.trigger_and_wait(TriggerJob::new("x")).await.unwrap();

        assert_eq!((end.revision, end.status()), (9, S::Failed));
        assert_eq!(fake.watched_one.lock().unwrap()[2].resume_token, "");
    }
}

#[tokio::test]
async fn a_wait_for_a_run_that_is_gone_with_a_reset_says_so() {
    let fake = one(vec![(vec![at(1, S::Running), because("FEED_RESET")], Closed)]);
    let error = fake.client().await.wait("x").await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn beginning_anew_again_and_again_pauses_longer_each_time() {
    let resets = || (0..3).map(|_| (vec![because("FEED_RESET")], Closed));
    let synced = (vec![tell(Kind::Synced, None, "1")], Silent);
    let fake = all(resets().chain([synced]).collect());
    let at_least = Duration::from_millis(50 + 100 + 200);
    let begin = Instant::now();

    let seen = told(&fake.client().await, WatchAll::new().resync(), 4).await;

    assert_eq!(seen[3], "synced");
    assert!(begin.elapsed() >= at_least, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn all_runs_are_told_once_across_a_loss() {
    let fake = all(vec![
        (
            vec![
                tell(Kind::Current, run("b", 2, S::Running), ""),
                tell(Kind::Current, run("a", 1, S::Pending), ""),
                tell(Kind::Synced, None, "1"),
                tell(Kind::Changed, run("a", 2, S::Running), "2"),
                tell(Kind::Bookmark, None, "3"),
                stopping(),
            ],
            Closed,
        ),
        (
            vec![
                tell(Kind::Changed, run("a", 2, S::Running), "4"),
                tell(Kind::Changed, run("b", 3, S::Completed), "5"),
                tell(Kind::Synced, None, "5"),
                tell(Kind::Changed, run("b", 3, S::Completed), "6"),
                tell(Kind::Left, run("a", 3, S::Completed), "7"),
            ],
            Silent,
        ),
    ]);
    let client = fake.client().await;

    let seen = told(&client, WatchAll::new().filter("f"), 9).await;

    let expected = "current b2,current a1,synced,changed a2,bookmark,interrupted Unavailable,\
        changed b3,synced,left a3";
    assert_eq!(seen, expected.split(',').collect::<Vec<_>>());
    let asked = fake.watched_all.lock().unwrap();
    assert_eq!((&*asked[1].resume_token, &*asked[1].filter), ("3", "f"));
}

#[tokio::test]
async fn a_loss_before_all_current_runs_came_tells_nothing_of_them() {
    // The run a ends in between: had it been told, nobody would tell of its end.
    let current = |id, token| tell(Kind::Current, run(id, 1, S::Running), token);
    let fake = all(vec![
        (vec![current("a", ""), current("b", ""), stopping()], Closed),
        (vec![current("b", ""), tell(Kind::Synced, None, "1")], Silent),
    ]);

    let seen = told(&fake.client().await, WatchAll::new(), 3).await;

    assert_eq!(seen, ["interrupted Unavailable", "current b1", "synced"]);
}

#[tokio::test]
async fn a_gap_ends_the_watch_unless_it_may_begin_anew() {
    for reason in ["TOKEN_EXPIRED", "FEED_RESET"] {
        let script = || {
            vec![
                (vec![tell(Kind::Changed, run("a", 4, S::Running), "1"), because(reason)], Closed),
                (
                    vec![
                        tell(Kind::Current, run("a", 4, S::Running), ""),
                        tell(Kind::Synced, None, "2"),
                    ],
                    Silent,
                ),
            ]
        };
        let strict = all(script());
        let seen = told(&strict.client().await, WatchAll::new().resume_from("0"), 9).await;
        assert_eq!(seen, ["changed a4".to_owned(), format!("error {reason}")]);
        assert_eq!(strict.watched_all.lock().unwrap()[0].resume_token, "0");

        let lenient = all(script());
        let seen = told(&lenient.client().await, WatchAll::new().resync(), 4).await;
        let resynced = format!("resynced {reason}");
        assert_eq!(seen, ["changed a4", &resynced, "current a4", "synced"]);
        assert_eq!(lenient.watched_all.lock().unwrap()[1].resume_token, "");
    }
}

#[tokio::test]
async fn the_token_moves_with_each_event_and_a_bookmark_is_one_where_it_is_all_that_moves() {
    let fake = all(vec![
        (
            vec![
                tell(Kind::Bookmark, None, "0"),
                tell(Kind::Synced, None, "1"),
                tell(Kind::Bookmark, None, "1"),
                tell(Kind::Bookmark, None, "2"),
                tell(Kind::Bookmark, None, "2"),
                stopping(),
            ],
            Closed,
        ),
        (
            vec![
                tell(Kind::Bookmark, None, "2"),
                tell(Kind::Changed, run("a", 2, S::Running), "3"),
                // Of a later version.
                tell(Kind::Unspecified, None, "4"),
            ],
            Silent,
        ),
    ]);
    let mut events = fake.client().await.watch_all(WatchAll::new().resume_from("0"));

    let mut told = Vec::new();
    for _ in 0..5 {
        let event = events.next().await.unwrap().unwrap();
        told.push((matches!(event, WatchEvent::Bookmark), events.resume_token().to_owned()));
    }

    let told: Vec<_> = told.iter().map(|(bookmark, token)| (*bookmark, &**token)).collect();
    assert_eq!(told, [(false, "1"), (true, "2"), (false, "2"), (false, "3"), (true, "4")]);
}
