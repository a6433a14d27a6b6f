//! The end of a watch, and resuming from its token.

use sqlx::PgPool;
use tonic_types::StatusExt as _;
use windrow_client::{Code, proto};
use windrow_server::config::Config;

use crate::support::watching::{Feed, refusal, request, service};
use crate::support::{SLOW, Windrow, eventually, job, parameters};
use proto::WatchKind as Kind;

#[tokio::test]
async fn a_token_older_than_the_retained_events_has_expired() {
    let first = Windrow::start().await;
    first.create("job").await;
    let mut feed = Feed::of(&first.address(), "", "").await.unwrap();
    feed.sync().await;
    let old = feed.token.clone();
    let run = first.end(&first.trigger("job").await.job_id).await;
    let pool = PgPool::connect(&first.database_url).await.unwrap();
    let age = "update run_event set written_at = written_at - interval '8 days'";
    sqlx::query(age).execute(&pool).await.unwrap();
    let url = first.database_url.clone();
    first.stop().await;

    // A server prunes when it starts, unless another database of the cluster holds the feed back then.
    let second = eventually("a starting server prunes the events", async || {
        let server = Windrow::start_on(&url, |_| {}).await;
        if is_pruned(&pool).await {
            return Ok(server);
        }
        server.stop().await;
        Err("events are left")
    })
    .await;

    let expired = Feed::of(&second.address(), "", &old).await.err().unwrap();
    assert_eq!(refusal(&expired), (Code::OutOfRange, "TOKEN_EXPIRED".to_owned()));
    let request = proto::WatchScrapingJobRequest {
        job_id: run.job_id.clone(),
        after_revision: Some(0),
        ..Default::default()
    };
    let mut story = service(&second.address()).await.watch_scraping_job(request).await.unwrap();
    let expired = story.get_mut().message().await.unwrap_err();
    assert_eq!(refusal(&expired), (Code::OutOfRange, "TOKEN_EXPIRED".to_owned()));
    let mut fresh = Feed::of(&second.address(), "", "").await.unwrap();
    fresh.sync().await;
    assert!(Feed::of(&second.address(), "", &fresh.token).await.is_ok());
    second.stop().await;
}

/// Waits up to two seconds.
async fn is_pruned(pool: &PgPool) -> bool {
    let pruned = "select count(*) = 0 from run_event";
    for _ in 0..100 {
        if sqlx::query_scalar::<_, bool>(pruned).fetch_one(pool).await.unwrap() {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test]
async fn a_stopping_server_sends_a_token_and_a_retry_delay() {
    let first = Windrow::start().await;
    first.create("job").await;
    let second = Windrow::start_on(&first.database_url, |_| {}).await;
    let mut feed = Feed::of(&first.address(), "", "").await.unwrap();
    feed.sync().await;

    first.stop().await;

    assert_eq!(feed.message().await.unwrap().0, Kind::Bookmark);
    let end = feed.message().await.unwrap_err();
    assert_eq!(refusal(&end), (Code::Unavailable, "SERVER_STOPPING".to_owned()));
    assert!(end.get_details_retry_info().is_some(), "{end:?}");
    let run = second.trigger("job").await.job_id;
    let mut feed = Feed::of(&second.address(), "", &feed.token).await.unwrap();
    assert_eq!(feed.next_run().await.job_id, run);
    second.stop().await;
}

#[tokio::test]
async fn watches_of_one_client_have_a_limit() {
    watches_have_a_limit(|config| config.max_watches_per_client = 2, "this client has 2").await;
}

#[tokio::test]
async fn watches_of_all_clients_have_a_limit() {
    watches_have_a_limit(|config| config.max_watches = 2, "the server has 2").await;
}

async fn watches_have_a_limit(change: impl FnOnce(&mut Config), told: &str) {
    let windrow = Windrow::start_with(change).await;
    let first = Feed::of(&windrow.address(), "", "").await.unwrap();
    let _second = Feed::of(&windrow.address(), "", "").await.unwrap();

    let refused = Feed::of(&windrow.address(), "", "").await.err().unwrap();

    assert_eq!(refusal(&refused), (Code::ResourceExhausted, "TOO_MANY_WATCHES".to_owned()));
    assert!(refused.message().contains(told), "{refused:?}");
    drop(first);
    let open = async || Feed::of(&windrow.address(), "", "").await.map(drop);
    eventually("a closed watch makes room for another", open).await;
    windrow.stop().await;
}

#[tokio::test]
async fn the_watch_of_one_run_resumes_from_its_token() {
    let windrow = Windrow::start().await;
    let slow = proto::ScheduledJob { parameters: Some(parameters(SLOW)), ..job("slow") };
    windrow.create_as(slow).await.unwrap();
    let run = windrow.trigger("slow").await.job_id;
    let watch = async |resume_token: String| {
        let job_id = run.clone();
        let request = proto::WatchScrapingJobRequest { job_id, resume_token, ..Default::default() };
        service(&windrow.address()).await.watch_scraping_job(request).await.unwrap().into_inner()
    };
    let mut states = watch(String::new()).await;
    let mut told = vec![states.message().await.unwrap().unwrap()];
    assert_eq!(told[0].kind(), Kind::Current);
    // It may be leased in between.
    while told[told.len() - 1].kind() != Kind::Synced {
        told.push(states.message().await.unwrap().unwrap());
    }
    let before = told.iter().filter_map(|message| message.scraping_job.as_ref()?.revision.into());
    let before: i64 = before.max().unwrap();
    let token = told.pop().unwrap().resume_token;
    drop(states);
    windrow.cancel(&run).await.unwrap();
    let ended = windrow.end(&run).await;

    let mut states = watch(token).await;
    let mut seen = Vec::new();
    while let Some(message) = states.message().await.unwrap() {
        seen.push((message.kind(), message.scraping_job.map(|run| run.revision)));
    }

    assert_eq!(seen.last(), Some(&(Kind::Synced, None)));
    assert_eq!(seen[seen.len() - 2], (Kind::Changed, Some(ended.revision)));
    assert!(seen[..seen.len() - 1].iter().all(|one| one.1 > Some(before)), "{seen:?}");
    windrow.stop().await;
}

#[tokio::test]
async fn a_revision_and_a_token_cannot_be_combined() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let both = proto::WatchScrapingJobRequest {
        job_id: windrow.trigger("job").await.job_id,
        after_revision: Some(0),
        resume_token: "00".to_owned(),
        ..Default::default()
    };
    let refused = service(&windrow.address()).await.watch_scraping_job(both).await.unwrap_err();
    assert_eq!(refused.message(), "resume_token: cannot be combined with after_revision");
    let unknown = proto::WatchScrapingJobsRequest { view: 9, ..request("", "") };
    let refused = Feed::open(&windrow.address(), unknown).await.err().unwrap();
    assert_eq!(refused.message(), "view: 9 is not a view");
    windrow.stop().await;
}
