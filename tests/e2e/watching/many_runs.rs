//! Watching all runs that match a filter, and resuming from tokens.

use sqlx::{Connection, PgConnection};
use windrow_client::{Code, proto};

use crate::support::watching::{Feed, request, service};
use crate::support::{SLOW, Windrow, job, parameters};
use proto::{ScrapingJobStatus as Status, WatchKind as Kind};

/// Kinds and statuses of the next messages.
async fn next(feed: &mut Feed, count: usize) -> Vec<(Kind, Status)> {
    let mut seen = Vec::new();
    for _ in 0..count {
        let (kind, run) = feed.next().await.unwrap();
        seen.push((kind, run.status()));
    }
    seen
}

async fn create_slow(windrow: &Windrow, id: &str) {
    let slow = proto::ScheduledJob { parameters: Some(parameters(SLOW)), ..job(id) };
    windrow.create_as(slow).await.unwrap();
}

#[tokio::test]
async fn active_runs_come_first_and_then_every_change() {
    let windrow = Windrow::start().await;
    windrow.create("quick").await;
    create_slow(&windrow, "slow").await;
    windrow.end(&windrow.trigger("quick").await.job_id).await;
    let active = windrow.trigger("slow").await.job_id;
    let mut feed = Feed::of(&windrow.address(), "", "").await.unwrap();

    let current = feed.sync().await;
    assert_eq!(current.iter().map(|run| &run.job_id).collect::<Vec<_>>(), [&active]);

    windrow.trigger("quick").await;
    let mut seen = Vec::new();
    while seen.last() != Some(&Status::Completed) {
        let (kind, run) = feed.next().await.unwrap();
        assert_eq!(kind, Kind::Changed);
        if run.job_id != active && seen.last() != Some(&run.status()) {
            seen.push(run.status());
        }
    }
    assert_eq!(seen, [Status::Pending, Status::Running, Status::Completed]);
    windrow.stop().await;
}

#[tokio::test]
async fn a_run_that_stops_matching_is_reported_as_left() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let mut pending = Feed::of(&windrow.address(), "status = pending", "").await.unwrap();
    let mut failed = Feed::of(&windrow.address(), "status = failed", "").await.unwrap();
    let mut ended = Feed::of(&windrow.address(), "status = completed", "").await.unwrap();
    for feed in [&mut pending, &mut failed, &mut ended] {
        assert!(feed.sync().await.is_empty());
    }

    windrow.end(&windrow.trigger("job").await.job_id).await;

    let came_and_went = [(Kind::Changed, Status::Pending), (Kind::Left, Status::Running)];
    assert_eq!(next(&mut pending, 2).await, came_and_went);
    assert_eq!(next(&mut ended, 1).await, [(Kind::Changed, Status::Completed)]);
    assert_eq!(failed.message().await.unwrap().0, Kind::Bookmark, "nothing has failed");
    windrow.stop().await;
}

#[tokio::test]
async fn more_changes_than_the_buffer_of_a_watch_holds_arrive_once_and_in_order() {
    const RUNS: usize = 300;
    let windrow = Windrow::start().await;
    create_slow(&windrow, "slow").await;
    let mut made = Vec::new();
    for _ in 0..RUNS {
        made.push(windrow.trigger("slow").await.job_id);
    }
    let mut feed = Feed::of(&windrow.address(), "status = cancelled", "").await.unwrap();
    assert!(feed.sync().await.is_empty());

    windrow.client.cancel_runs().job("slow").await.unwrap();

    let (mut told, mut bookmarks) = (Vec::new(), 0);
    // Several bookmarks in a row mean that nothing more comes.
    while told.len() < RUNS && bookmarks < 3 {
        match feed.message().await.unwrap() {
            (Kind::Bookmark, _) => bookmarks += 1,
            (_, run) => {
                told.push(run.job_id);
                bookmarks = 0;
            }
        }
    }
    let events = "select job_id from run_event where status = 'cancelled' order by xid, id";
    let mut conn = PgConnection::connect(&windrow.database_url).await.unwrap();
    let written: Vec<String> = sqlx::query_scalar(events).fetch_all(&mut conn).await.unwrap();
    assert_eq!(told, written);
    told.sort();
    made.sort();
    assert_eq!(told, made);
    windrow.stop().await;
}

#[tokio::test]
async fn a_token_moves_while_only_other_jobs_have_runs() {
    let windrow = Windrow::start().await;
    windrow.create("one").await;
    windrow.create("other").await;
    let scheduled_job_id = "one".to_owned();
    let of_one = proto::WatchScrapingJobsRequest { scheduled_job_id, ..request("", "") };
    let mut feed = Feed::open(&windrow.address(), of_one).await.unwrap();
    assert!(feed.sync().await.is_empty());
    let before = feed.token.clone();

    windrow.end(&windrow.trigger("other").await.job_id).await;

    feed.bookmark().await;
    assert_ne!(feed.token, before, "an unmoved token would expire");
    windrow.stop().await;
}

#[tokio::test]
async fn a_watch_sends_only_the_requested_runs_and_view() {
    let windrow = Windrow::start().await;
    windrow.create("one").await;
    windrow.create("other").await;
    let of_one = proto::WatchScrapingJobsRequest {
        scheduled_job_id: "one".to_owned(),
        view: proto::ScrapingJobView::Full.into(),
        ..request("origin = triggered", "")
    };
    let mut feed = Feed::open(&windrow.address(), of_one).await.unwrap();
    let mut basic = Feed::of(&windrow.address(), "", "").await.unwrap();
    for feed in [&mut feed, &mut basic] {
        assert!(feed.sync().await.is_empty());
    }

    windrow.end(&windrow.trigger("other").await.job_id).await;
    let wanted = windrow.trigger("one").await.job_id;

    let (_, run) = feed.next().await.unwrap();
    assert_eq!((&run.job_id, run.parameters.unwrap().locations.len()), (&wanted, 1));
    let (_, run) = basic.next().await.unwrap();
    assert_eq!((run.total_locations, run.parameters.unwrap().locations.len()), (1, 0));
    windrow.stop().await;
}

#[tokio::test]
async fn a_token_resumes_on_any_server() {
    let first = Windrow::start().await;
    let second = Windrow::start_on(&first.database_url, |_| {}).await;
    first.create("job").await;
    let mut feed = Feed::of(&first.address(), "", "").await.unwrap();
    feed.sync().await;
    let run = first.trigger("job").await.job_id;
    let begin = feed.next().await.unwrap().1;
    assert_eq!((&begin.job_id, begin.status()), (&run, Status::Pending));
    let token = feed.token.clone();
    drop(feed);
    first.end(&run).await;
    first.stop().await;

    let mut feed = Feed::of(&second.address(), "", &token).await.unwrap();
    let mut missed = vec![feed.next_run().await];
    while missed[missed.len() - 1].completed_at.is_none() {
        missed.push(feed.next_run().await);
    }

    assert_eq!(missed[0].status(), Status::Running);
    assert!(missed.iter().all(|state| state.job_id == run), "{missed:#?}");
    let mut feed = Feed::of(&second.address(), "", &feed.token).await.unwrap();
    assert!(feed.sync().await.is_empty(), "everything was seen before");
    second.stop().await;
}

#[tokio::test]
async fn invalid_tokens_are_rejected_with_their_field() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let run = windrow.end(&windrow.trigger("job").await.job_id).await.job_id;
    let mut feed = Feed::of(&windrow.address(), "status = failed", "").await.unwrap();
    feed.sync().await;
    let refused = |token: String, filter: &'static str| {
        let address = windrow.address();
        async move { Feed::of(&address, filter, &token).await.err().unwrap() }
    };
    for (token, filter, reason) in [
        (feed.token.clone(), "status = pending", "belongs to a different watch"),
        ("x".to_owned(), "", "is malformed or truncated"),
        (feed.token[..40].to_owned(), "status = failed", "is malformed or truncated"),
    ] {
        let status = refused(token, filter).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().starts_with(&format!("resume_token: {reason}")), "{status:?}");
    }
    let request = proto::WatchScrapingJobRequest {
        job_id: run,
        resume_token: feed.token,
        ..Default::default()
    };
    let status = service(&windrow.address()).await.watch_scraping_job(request).await.unwrap_err();
    assert!(
        status.message().starts_with("resume_token: belongs to a different watch"),
        "{status:?}"
    );
    windrow.stop().await;
}
