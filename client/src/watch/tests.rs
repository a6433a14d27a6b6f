//! A watch and a retried call against a small server in this process that fails on purpose.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures::{StreamExt, TryStreamExt};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response};

use super::*;
use crate::Code;
use crate::proto::scraping_job_service_server::{ScrapingJobService, ScrapingJobServiceServer};

type Watched = Result<proto::WatchScrapingJobResponse, Status>;

#[derive(Clone, Default)]
struct Fake {
    /// What each watch streams, first watch first.
    scripts: Arc<Mutex<Vec<Vec<Watched>>>>,
    /// `after_revision` of each watch.
    cursors: Arc<Mutex<Vec<Option<i64>>>>,
    /// `request_id` of each trigger; the first two are answered with UNAVAILABLE.
    request_ids: Arc<Mutex<Vec<String>>>,
    /// How often a cancellation was asked for; always answered with UNAVAILABLE.
    cancels: Arc<AtomicU32>,
}

#[tonic::async_trait]
impl ScrapingJobService for Fake {
    type WatchScrapingJobStream = BoxStream<'static, Watched>;
    type WatchScrapingJobsStream =
        BoxStream<'static, Result<proto::WatchScrapingJobsResponse, Status>>;

    async fn watch_scraping_jobs(
        &self,
        _: Request<proto::WatchScrapingJobsRequest>,
    ) -> Result<Response<Self::WatchScrapingJobsStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn watch_scraping_job(
        &self,
        request: Request<proto::WatchScrapingJobRequest>,
    ) -> Result<Response<Self::WatchScrapingJobStream>, Status> {
        self.cursors.lock().unwrap().push(request.into_inner().after_revision);
        let mut scripts = self.scripts.lock().unwrap();
        if scripts.is_empty() {
            return Err(Status::not_found("Job not found: x"));
        }
        Ok(Response::new(stream::iter(scripts.remove(0)).boxed()))
    }

    async fn trigger_job(
        &self,
        request: Request<proto::TriggerJobRequest>,
    ) -> Result<Response<proto::TriggerJobResponse>, Status> {
        let mut ids = self.request_ids.lock().unwrap();
        ids.push(request.into_inner().request_id);
        if ids.len() <= 2 {
            return Err(Status::unavailable("stopping"));
        }
        Ok(Response::new(proto::TriggerJobResponse { job_id: "run".into(), ..Default::default() }))
    }

    async fn submit_scraping_job(
        &self,
        _: Request<proto::SubmitScrapingJobRequest>,
    ) -> Result<Response<proto::SubmitScrapingJobResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn cancel_scraping_jobs(
        &self,
        _: Request<proto::CancelScrapingJobsRequest>,
    ) -> Result<Response<proto::CancelScrapingJobsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn retry_failed_locations(
        &self,
        _: Request<proto::RetryFailedLocationsRequest>,
    ) -> Result<Response<proto::RetryFailedLocationsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_scraping_job_logs(
        &self,
        _: Request<proto::ListScrapingJobLogsRequest>,
    ) -> Result<Response<proto::ListScrapingJobLogsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_scraping_job(
        &self,
        _: Request<proto::GetScrapingJobRequest>,
    ) -> Result<Response<proto::GetScrapingJobResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_scraping_jobs(
        &self,
        _: Request<proto::ListScrapingJobsRequest>,
    ) -> Result<Response<proto::ListScrapingJobsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn cancel_scraping_job(
        &self,
        _: Request<proto::CancelScrapingJobRequest>,
    ) -> Result<Response<proto::CancelScrapingJobResponse>, Status> {
        self.cancels.fetch_add(1, Ordering::SeqCst);
        Err(Status::unavailable("stopping"))
    }
}

async fn serve(fake: &Fake) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::builder().add_service(ScrapingJobServiceServer::new(fake.clone()));
    let serving = server.serve_with_incoming(TcpListenerStream::new(listener));
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    drop(tokio::spawn(serving));
    Client::connect(&address).await.unwrap()
}

fn watching(scripts: Vec<Vec<Watched>>) -> Fake {
    Fake { scripts: Arc::new(Mutex::new(scripts)), ..Default::default() }
}

#[expect(clippy::unnecessary_wraps, reason = "an entry of a script, beside errors")]
fn at(revision: i64, status: ScrapingJobStatus) -> Watched {
    let run = proto::ScrapingJob { revision, status: status.into(), ..Default::default() };
    let scraping_job = Some(run);
    Ok(proto::WatchScrapingJobResponse { scraping_job, ..Default::default() })
}

async fn revisions(client: &Client, after_revision: i64) -> Result<Vec<i64>, Error> {
    client.watch_from("x", after_revision).map_ok(|run| run.revision).try_collect().await
}

#[tokio::test]
async fn a_broken_watch_resumes_without_gap_or_repeat() {
    let fake = watching(vec![
        vec![
            at(1, ScrapingJobStatus::Pending),
            at(2, ScrapingJobStatus::Running),
            Err(Status::unavailable("stopping")),
        ],
        vec![
            at(2, ScrapingJobStatus::Running),
            at(3, ScrapingJobStatus::Running),
            at(5, ScrapingJobStatus::Completed),
        ],
    ]);
    let client = serve(&fake).await;

    let seen = revisions(&client, 0).await.unwrap();

    assert_eq!(seen, [1, 2, 3, 5]);
    assert_eq!(*fake.cursors.lock().unwrap(), [Some(0), Some(2)]);
}

#[tokio::test]
async fn a_watch_that_ends_too_early_is_resumed() {
    let fake = watching(vec![
        vec![at(1, ScrapingJobStatus::Pending)],
        vec![at(2, ScrapingJobStatus::Cancelled)],
    ]);
    let client = serve(&fake).await;

    assert_eq!(revisions(&client, 0).await.unwrap(), [1, 2]);
}

#[tokio::test]
async fn a_watch_after_the_final_revision_is_empty() {
    let client = serve(&watching(vec![vec![], vec![at(7, ScrapingJobStatus::Failed)]])).await;

    assert_eq!(revisions(&client, 7).await.unwrap(), [0_i64; 0]);
    assert_eq!(revisions(&client, 7).await.unwrap(), [0_i64; 0]);
}

#[tokio::test]
async fn a_watch_of_an_unknown_run_fails_at_once() {
    let client = serve(&Fake::default()).await;

    let error = revisions(&client, 0).await.unwrap_err();

    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test]
async fn a_retried_trigger_keeps_its_request_id() {
    let fake = Fake::default();
    let client = serve(&fake).await;

    let response = client.trigger_job(proto::TriggerJobRequest::default()).await.unwrap();

    assert_eq!(response.job_id, "run");
    let ids = fake.request_ids.lock().unwrap();
    assert_eq!(ids.len(), 3);
    assert!(!ids[0].is_empty() && ids.iter().all(|id| *id == ids[0]));
}

#[tokio::test]
async fn a_call_without_request_id_is_sent_once() {
    let fake = Fake::default();
    let client = serve(&fake).await;

    let error = client.cancel_scraping_job(proto::CancelScrapingJobRequest::default()).await;

    assert!(matches!(error, Err(Error::Unavailable { .. })));
    assert_eq!(fake.cancels.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_connect_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);

    let eager = Client::connect(&address).await.unwrap_err();
    let lazy = Client::connect_lazy(&address).unwrap();
    let later = lazy.get_scraping_job(proto::GetScrapingJobRequest::default()).await.unwrap_err();

    assert!(matches!(eager, Error::Connect { .. }));
    assert!(matches!(later, Error::Connect { .. }), "{later:?}");
}
