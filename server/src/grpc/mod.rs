//! The gRPC edge, thin: proto → domain → use case → proto. It knows no store.

mod attempts;
mod convert;
mod logs;
mod mask;
mod page;
mod properties;
mod request_id;
mod scheduled_jobs;
mod scraping_jobs;
mod status;
mod ticks;
mod values;
mod watches;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};
use windrow::v1::property_service_server::{PropertyServiceServer, SERVICE_NAME as PROPERTIES};
use windrow::v1::scheduled_job_service_server::{
    SERVICE_NAME as SCHEDULED_JOBS, ScheduledJobServiceServer,
};
use windrow::v1::scraping_job_service_server::{
    SERVICE_NAME as SCRAPING_JOBS, ScrapingJobServiceServer,
};
use windrow::v1::worker_service_server::{SERVICE_NAME as WORKERS, WorkerServiceServer};

use self::properties::Properties;
use self::scheduled_jobs::ScheduledJobs;
use self::scraping_jobs::ScrapingJobs;
use self::status::unavailable;
pub(crate) use self::workers::WorkerTiming;
use self::workers::Workers;
use crate::app::{App, Mode};

/// Who calls, as long as callers do not say who they are.
const ANONYMOUS: &str = "anonymous";
/// Largest request: a thousand locations of 200 characters need a fifth of it.
const REQUEST_LIMIT: usize = 4 * 1024 * 1024;
/// Calls at once on one connection, besides the watches that its client may have: those beyond their own
/// limit shall get its error, and not wait in the client for a stream.
const CALLS: u32 = 1_000;
/// A unary call, or the beginning of a watch, takes at most so long, whatever its deadline.
const CALL_LIMIT: Duration = Duration::from_mins(1);
/// A dead client is noticed after this and the time that an answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(10);

/// The two steps of a server's end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shutdown {
    /// Health says NOT_SERVING; everything is still answered.
    pub(crate) draining: CancellationToken,
    /// Watches end with UNAVAILABLE, no more calls are taken, those in progress are answered.
    pub(crate) closing: CancellationToken,
}

/// Serves until it is told to close and the last call is answered. Workers work by these terms.
pub(crate) async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    stopping: Shutdown,
    terms: WorkerTiming,
    max_watches_per_client: u32,
) -> Result<(), tonic::transport::Error> {
    let (health, health_service) = health_reporter();
    set_status(&health, ServingStatus::Serving).await;
    let jobs = ScheduledJobServiceServer::new(ScheduledJobs::new(Arc::clone(&app)));
    let closing = || stopping.closing.clone();
    let runs = ScrapingJobServiceServer::new(ScrapingJobs::new(Arc::clone(&app), closing()));
    let workers = Workers::new(Arc::clone(&app), stopping.clone(), terms);
    let workers = WorkerServiceServer::new(workers);
    let properties = PropertyServiceServer::new(Properties::new(app, closing()));
    let routes = Routes::new(health_service)
        .add_service(jobs.max_decoding_message_size(REQUEST_LIMIT))
        .add_service(runs.max_decoding_message_size(REQUEST_LIMIT))
        .add_service(workers.max_decoding_message_size(REQUEST_LIMIT))
        .add_service(properties.max_decoding_message_size(REQUEST_LIMIT));
    let serving = Server::builder()
        .timeout(CALL_LIMIT)
        .max_concurrent_streams(max_watches_per_client.saturating_add(CALLS))
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_ANSWER))
        .add_routes(with_reflection(routes))
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            stopping.closing.cancelled(),
        );
    let drained = async {
        stopping.draining.cancelled().await;
        set_status(&health, ServingStatus::NotServing).await;
        // The reporter stays, for without it the streams of health watchers would end.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        served = serving => served,
        () = drained => Ok(()),
    }
}

async fn set_status(health: &HealthReporter, status: ServingStatus) {
    for service in ["", SCHEDULED_JOBS, SCRAPING_JOBS, WORKERS, PROPERTIES] {
        health.set_service_status(service, status).await;
    }
}

/// What a stream has, or UNAVAILABLE as soon as the server closes and nothing more is ready.
fn until_closing<T: Send + 'static>(
    items: impl Stream<Item = Result<T, Status>> + Send + 'static,
    closing: CancellationToken,
) -> impl Stream<Item = Result<T, Status>> + Send + 'static {
    stream::unfold(Some(Box::pin(items)), move |items| {
        let closing = closing.clone();
        async move {
            let mut items = items?;
            tokio::select! {
                biased;
                item = items.next() => Some((item?, Some(items))),
                () = closing.cancelled() => {
                    let ended = unavailable("the server is stopping", "SERVER_STOPPING");
                    Some((Err(ended), None))
                }
            }
        }
    })
}

fn mode(validate_only: bool) -> Mode {
    if validate_only { Mode::ValidateOnly } else { Mode::Commit }
}

/// Both versions of reflection: Python's client, for one, speaks only the older.
fn with_reflection(routes: Routes) -> Routes {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(windrow::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    match (builder().build_v1(), builder().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => routes.add_service(v1).add_service(v1alpha),
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "Reflection is off: the descriptors cannot be read");
            routes
        }
    }
}
