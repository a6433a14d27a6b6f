//! A server in this process that fails on purpose, for the tests of this crate.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::proto::scraping_job_service_server::{ScrapingJobService, ScrapingJobServiceServer};
use crate::{Client, proto};

type Of<T> = Result<T, Status>;
/// Messages of one stream, after which it closes or stays silent.
pub(crate) type Script<T> = (Vec<Of<T>>, End);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed,
    Silent,
}

/// Scripted responses, first to last, and the received requests.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    /// Each watch of one run takes the next.
    pub(crate) ones: Arc<Mutex<Vec<Script<proto::WatchScrapingJobResponse>>>>,
    pub(crate) watched_one: Arc<Mutex<Vec<proto::WatchScrapingJobRequest>>>,
    /// Each watch of all runs takes the next.
    pub(crate) alls: Arc<Mutex<Vec<Script<proto::WatchScrapingJobsResponse>>>>,
    pub(crate) watched_all: Arc<Mutex<Vec<proto::WatchScrapingJobsRequest>>>,
    /// Each trigger and cancellation fails with the next, and succeeds when there are none.
    pub(crate) failures: Arc<Mutex<Vec<Status>>>,
    pub(crate) request_ids: Arc<Mutex<Vec<String>>>,
    pub(crate) cancels: Arc<Mutex<Vec<String>>>,
    pub(crate) headers: Arc<Mutex<Vec<MetadataMap>>>,
    /// Pause before each message of a stream.
    pub(crate) pace: Duration,
}

impl Fake {
    /// Starts to serve; returns the address.
    pub(crate) async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Server::builder().add_service(ScrapingJobServiceServer::new(self.clone()));
        let serving = server.serve_with_incoming(TcpListenerStream::new(listener));
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        drop(tokio::spawn(serving));
        address
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.serve().await).await.unwrap()
    }

    /// Makes the next trigger or cancellation fail.
    pub(crate) fn fail(&self, status: Status) {
        self.failures.lock().unwrap().push(status);
    }

    fn respond<T>(&self, response: T) -> Of<Response<T>> {
        let mut failures = self.failures.lock().unwrap();
        if failures.is_empty() { Ok(Response::new(response)) } else { Err(failures.remove(0)) }
    }
}

/// An address without a server.
pub(crate) async fn unused_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

fn play<T: Send + 'static>(
    scripts: &Mutex<Vec<Script<T>>>,
    pace: Duration,
) -> Of<Response<BoxStream<'static, Of<T>>>> {
    let mut scripts = scripts.lock().unwrap();
    if scripts.is_empty() {
        return Err(Status::not_found("Job not found: x"));
    }
    let (messages, end) = scripts.remove(0);
    let silence = stream::pending().take(usize::from(end == End::Silent));
    let paced = stream::iter(messages).then(move |message| async move {
        tokio::time::sleep(pace).await;
        message
    });
    Ok(Response::new(paced.chain(silence).boxed()))
}

#[tonic::async_trait]
impl ScrapingJobService for Fake {
    type WatchScrapingJobStream = BoxStream<'static, Of<proto::WatchScrapingJobResponse>>;
    type WatchScrapingJobsStream = BoxStream<'static, Of<proto::WatchScrapingJobsResponse>>;

    async fn watch_scraping_job(
        &self,
        request: Request<proto::WatchScrapingJobRequest>,
    ) -> Of<Response<Self::WatchScrapingJobStream>> {
        self.watched_one.lock().unwrap().push(request.into_inner());
        play(&self.ones, self.pace)
    }

    async fn watch_scraping_jobs(
        &self,
        request: Request<proto::WatchScrapingJobsRequest>,
    ) -> Of<Response<Self::WatchScrapingJobsStream>> {
        self.watched_all.lock().unwrap().push(request.into_inner());
        play(&self.alls, self.pace)
    }

    async fn trigger_job(
        &self,
        request: Request<proto::TriggerJobRequest>,
    ) -> Of<Response<proto::TriggerJobResponse>> {
        self.headers.lock().unwrap().push(request.metadata().clone());
        self.request_ids.lock().unwrap().push(request.into_inner().request_id);
        let run = proto::ScrapingJob { job_id: "run".into(), ..Default::default() };
        let scraping_job = Some(run);
        self.respond(proto::TriggerJobResponse { scraping_job, ..Default::default() })
    }

    async fn cancel_scraping_job(
        &self,
        request: Request<proto::CancelScrapingJobRequest>,
    ) -> Of<Response<proto::CancelScrapingJobResponse>> {
        self.cancels.lock().unwrap().push(request.into_inner().job_id);
        let scraping_job = Some(proto::ScrapingJob::default());
        self.respond(proto::CancelScrapingJobResponse { scraping_job })
    }

    async fn get_scraping_job(
        &self,
        _: Request<proto::GetScrapingJobRequest>,
    ) -> Of<Response<proto::GetScrapingJobResponse>> {
        std::future::pending().await
    }

    async fn submit_scraping_job(
        &self,
        _: Request<proto::SubmitScrapingJobRequest>,
    ) -> Of<Response<proto::SubmitScrapingJobResponse>> {
        Err(Status::unimplemented(""))
    }

    async fn cancel_scraping_jobs(
        &self,
        _: Request<proto::CancelScrapingJobsRequest>,
    ) -> Of<Response<proto::CancelScrapingJobsResponse>> {
        Err(Status::unimplemented(""))
    }

    async fn retry_failed_locations(
        &self,
        _: Request<proto::RetryFailedLocationsRequest>,
    ) -> Of<Response<proto::RetryFailedLocationsResponse>> {
        Err(Status::unimplemented(""))
    }

    async fn list_scraping_job_logs(
        &self,
        _: Request<proto::ListScrapingJobLogsRequest>,
    ) -> Of<Response<proto::ListScrapingJobLogsResponse>> {
        Err(Status::unimplemented(""))
    }

    async fn list_scraping_jobs(
        &self,
        _: Request<proto::ListScrapingJobsRequest>,
    ) -> Of<Response<proto::ListScrapingJobsResponse>> {
        Err(Status::unimplemented(""))
    }
}
