//! Streams that break, without a network in between.

use super::*;
use crate::backoff;
use crate::fake::{End, Fake, Script};
use crate::proto::scraping_job_service_client::ScrapingJobServiceClient;
use crate::proto::scraping_job_service_server::ScrapingJobServiceServer;
use crate::proto::{WatchScrapingJobRequest, WatchScrapingJobResponse};

type TestStream = Reconnecting<WatchScrapingJobResponse>;

fn new_stream() -> TestStream {
    let client = Client::connect_lazy("127.0.0.1:1").unwrap();
    Reconnecting::new(&client, "WatchScrapingJob", RECONNECT_TIMEOUT)
}

fn fake(pace: Duration, script: impl Fn() -> Script<WatchScrapingJobResponse>) -> Fake {
    let fake = Fake { pace, ..Fake::default() };
    *fake.ones.lock().unwrap() = (0..100).map(|_| script()).collect();
    fake
}

#[expect(clippy::unnecessary_wraps, reason = "an entry of a script, beside errors")]
fn bookmark() -> Result<WatchScrapingJobResponse, Status> {
    Ok(WatchScrapingJobResponse::default())
}

fn stopping() -> Result<WatchScrapingJobResponse, Status> {
    Err(Status::unavailable("stopping"))
}

/// Reads until the stream is lost; returns the pause after that. There is no network in between, which a
/// paused clock would overtake.
async fn read_until_lost(stream: &mut TestStream, fake: &Fake) -> Result<Duration, Error> {
    let service = || ScrapingJobServiceClient::new(ScrapingJobServiceServer::new(fake.clone()));
    let open =
        |_| async move { service().watch_scraping_job(WatchScrapingJobRequest::default()).await };
    loop {
        if let Err(status) = stream.receive(open).await {
            let loss = stream.lose(status)?;
            tokio::time::sleep(loss.pause).await;
            return Ok(loss.pause);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_survives_a_rolling_restart() {
    let bookmarks = || (vec![bookmark(), bookmark(), stopping()], End::Closed);
    let (fake, mut stream) = (fake(Duration::from_secs(10), bookmarks), new_stream());
    let begin = Instant::now();

    while begin.elapsed() < 3 * RECONNECT_TIMEOUT {
        let pause = read_until_lost(&mut stream, &fake).await.unwrap();
        assert!(pause <= Duration::from_millis(100), "{pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn streams_without_progress_are_retried_with_growing_pauses_and_then_fail() {
    let brief = || (vec![bookmark(), stopping()], End::Closed);
    let silent = || (vec![], End::Silent);
    for fake in [fake(Duration::ZERO, brief), fake(Duration::ZERO, silent)] {
        let (mut stream, mut streams) = (new_stream(), 1);
        let error = loop {
            match read_until_lost(&mut stream, &fake).await {
                Ok(_) => streams += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.code(), Code::Unavailable);
        assert!(streams < 40, "{streams}");
    }
}

#[tokio::test(start_paused = true)]
async fn streams_with_progress_that_break_are_retried_with_growing_pauses_without_limit() {
    let brief = || (vec![bookmark(), stopping()], End::Closed);
    let (fake, mut stream) = (fake(Duration::ZERO, brief), new_stream());
    let begin = Instant::now();

    let mut pause = Duration::ZERO;
    while begin.elapsed() < 3 * RECONNECT_TIMEOUT {
        pause = read_until_lost(&mut stream, &fake).await.unwrap();
        stream.progress();
    }

    assert!(pause >= backoff::LONGEST / 2, "{pause:?}");
}

#[tokio::test(start_paused = true)]
async fn starting_over_without_progress_fails_in_the_end() {
    let (mut stream, mut times) = (new_stream(), 0);
    let begin = Instant::now();

    while let Some(pause) = stream.pause_before_restart() {
        tokio::time::sleep(pause).await;
        stream.lose(Status::out_of_range("the feed was reset")).unwrap_err();
        times += 1;
        assert!(times < 100, "it never fails");
    }

    assert!(begin.elapsed() > RECONNECT_TIMEOUT);
}
