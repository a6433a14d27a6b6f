//! Watching one run, without gaps.

use futures::{StreamExt, TryStreamExt};
use windrow_client::{Code, proto};

use crate::support::{PATIENCE, SLOW, Windrow, job, parameters, statuses, wait_for};
use proto::ScrapingJobStatus as Status;

#[tokio::test]
async fn a_watch_of_a_short_run_has_every_status() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    for _ in 0..20 {
        let story = windrow.story(&windrow.trigger("job").await.job_id).await;
        assert_eq!(statuses(&story), [Status::Pending, Status::Running, Status::Completed]);
        assert!(story.is_sorted_by(|a, b| a.revision < b.revision), "{story:?}");
    }
    windrow.stop().await;
}

#[tokio::test]
async fn a_watch_starts_with_the_current_state() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let run = windrow.end(&windrow.trigger("job").await.job_id).await;

    let seen: Vec<_> = windrow.client.watch(&run.job_id).states().try_collect().await.unwrap();

    assert_eq!(seen, [run]);
    windrow.stop().await;
}

#[tokio::test]
async fn a_watch_continues_after_the_given_revision() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let story = windrow.story(&windrow.trigger("job").await.job_id).await;
    let run = story.last().unwrap();
    for (index, state) in story.iter().enumerate() {
        let rest = windrow.client.watch(&run.job_id).after(state.revision).states();
        let mut seen = vec![state.clone()];
        seen.extend(rest.try_collect::<Vec<_>>().await.unwrap());
        // Progress may be merged in the one and not in the other.
        assert_eq!(statuses(&seen), statuses(&story[index..]), "after {}", state.revision);
        assert!(seen.is_sorted_by(|a, b| a.revision < b.revision), "{seen:?}");
    }
    windrow.stop().await;
}

#[tokio::test]
async fn a_watch_on_another_server_sees_everything() {
    let executing = Windrow::start().await;
    // Executes nothing itself: it does not know the source.
    let watching = Windrow::start_on(&executing.database_url, |c| c.sources.clear()).await;
    executing.create("job").await;

    let run = executing.trigger("job").await.job_id;
    let story = watching.story(&run).await;

    assert_eq!(statuses(&story), [Status::Pending, Status::Running, Status::Completed]);
    watching.stop().await;
    executing.stop().await;
}

#[tokio::test]
async fn a_stopping_server_ends_its_watches_as_unavailable() {
    let windrow = Windrow::start().await;
    windrow
        .create_as(proto::ScheduledJob { parameters: Some(parameters(SLOW)), ..job("job") })
        .await
        .unwrap();
    let run = windrow.trigger("job").await.job_id;
    let mut service = proto::scraping_job_service_client::ScrapingJobServiceClient::connect(
        format!("http://{}", windrow.address()),
    )
    .await
    .unwrap();
    let request = proto::WatchScrapingJobRequest { job_id: run, ..Default::default() };
    let mut states = service.watch_scraping_job(request).await.unwrap().into_inner();
    states.next().await.unwrap().unwrap();

    windrow.stop().await;

    let ended = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Err(status) = states.next().await.expect("ends with a status") {
                return status;
            }
        }
    });
    let end = ended.await.unwrap();
    assert_eq!(end.code(), Code::Unavailable, "{end:?}");
}

#[tokio::test]
async fn another_server_finishes_a_run_interrupted_by_a_shutdown() {
    let first = Windrow::start().await;
    let two_places = proto::ScrapeParameters {
        locations: vec!["A".to_owned(), "B".to_owned()],
        ..parameters(SLOW)
    };
    first
        .create_as(proto::ScheduledJob { parameters: Some(two_places), ..job("job") })
        .await
        .unwrap();
    let run = first.trigger("job").await.job_id;
    let mut states = first.client.watch(&run).from_start().states();
    wait_for(&mut states, Status::Running).await;
    let url = first.database_url.clone();

    first.stop().await;
    let quick = crate::support::config(&url).sources.remove("quick").unwrap();
    let second = Windrow::start_on(&url, |c| drop(c.sources.insert(SLOW.to_owned(), quick))).await;
    let end = second.end(&run).await;

    assert_eq!(end.status(), Status::Completed);
    assert_eq!(end.attempt, 2, "the stop was not the run's fault, but an attempt it was");
    assert_eq!(second.get_job("job").await.run_count, 1);
    second.stop().await;
}

#[tokio::test]
async fn an_unknown_run_or_a_future_revision_cannot_be_watched() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let run = windrow.end(&windrow.trigger("job").await.job_id).await;

    let unknown = windrow.client.watch("nope").states().next().await.unwrap().unwrap_err();
    let ahead = windrow.client.watch(&run.job_id).after(run.revision + 1).states();
    let ahead = ahead.into_future().await.0.unwrap().unwrap_err();

    assert_eq!((unknown.code(), unknown.reason()), (Code::NotFound, Some("RUN_NOT_FOUND")));
    assert_eq!((ahead.code(), ahead.reason()), (Code::OutOfRange, Some("CURSOR_AHEAD")));
    windrow.stop().await;
}
