//! The gRPC services: proto → domain → use case → proto.
//!
//! This layer only converts and names the caller. It decides nothing and does not use the store. The
//! behavior of each RPC is specified in the proto files.

mod attempts;
mod convert;
mod error_size;
mod flow;
mod health;
mod logs;
mod mask;
mod page;
mod properties;
mod request_id;
mod scheduled_jobs;
mod scraping_jobs;
#[cfg(test)]
mod size_tests;
mod status;
mod ticks;
mod watches;
mod workers;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic_health::ServingStatus;
use tonic_health::server::health_reporter;
use windrow::encoded::scraping_job_service_server::ScrapingJobServiceServer;
use windrow::reason;
use windrow::v1::property_service_server::PropertyServiceServer;
use windrow::v1::scheduled_job_service_server::ScheduledJobServiceServer;
use windrow::v1::worker_service_server::WorkerServiceServer;

use self::flow::Flow;
use self::properties::Properties;
use self::scheduled_jobs::ScheduledJobs;
use self::scraping_jobs::ScrapingJobs;
use self::status::unavailable;
pub(crate) use self::workers::WorkerTiming;
use self::workers::Workers;
use crate::app::{App, Mode};
use crate::listener::{Connection, Listener, Patience, Peer};

/// Name of the caller, until calls are authenticated.
const ANONYMOUS: &str = "anonymous";
/// Maximum size of a request, also of a compressed one after decompression. A thousand locations of 200 characters
/// need a fifth of it.
const MAX_REQUEST_SIZE: usize = 4 * 1024 * 1024;
/// Concurrent calls on one connection in addition to the watches that the client may have. The limit on
/// watches must be reached first: its error is clearer than a client that waits for a free stream.
const CONCURRENT_CALLS: u32 = 1_000;
/// Bytes that a client may send before they are read, of a call and of a connection. Some calls that wait for room do
/// not stop the others of their connection.
const CALL_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 16 * CALL_WINDOW;
/// Maximum size of the headers of a call: what gRPC clients accept by default, too.
const MAX_HEADERS: u32 = 8 * 1024;
/// Timeout of a unary call, and of the start of a stream, regardless of the client's deadline.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);
/// HTTP/2 keep-alive interval. A dead client is detected after this and the timeout of the reply.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// A client sends the preface of HTTP/2 right after it has connected. Keep-alive detects it if it dies later.
pub(crate) const PATIENCE: Patience =
    Patience { time: Duration::from_secs(10), greeting: Some(PREFACE.len()) };
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A service that accepts compressed requests, and requests up to the maximum size.
macro_rules! bounded {
    ($service:ident) => {
        $service
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(MAX_REQUEST_SIZE)
    };
}

/// The two steps of a shutdown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shutdown {
    /// Health reports NOT_SERVING, and no more runs are leased. All calls are still accepted.
    pub(crate) draining: CancellationToken,
    /// Streams end with UNAVAILABLE and no new calls are accepted. Calls in progress are completed.
    pub(crate) closing: CancellationToken,
}

/// The settings on which the limits of calls depend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallLimits {
    pub(crate) watches: u32,
    pub(crate) watches_per_client: u32,
    pub(crate) database_connections: u32,
    /// A connection of this age is asked to end.
    pub(crate) connection_age: Option<Duration>,
}

/// Serves until `shutdown.closing` is cancelled and the calls in progress have ended.
pub(crate) async fn serve(
    app: Arc<App>,
    listener: Listener,
    shutdown: Shutdown,
    timing: WorkerTiming,
    limits: CallLimits,
) -> Result<(), tonic::transport::Error> {
    let (reporter, health_service) = health_reporter();
    health::set_status(&reporter, ServingStatus::Serving).await;
    let watched = Arc::clone(&app);
    let jobs = ScheduledJobServiceServer::new(ScheduledJobs::new(Arc::clone(&app)));
    let closing = || shutdown.closing.clone();
    let runs = ScrapingJobServiceServer::new(ScrapingJobs::new(Arc::clone(&app), closing()));
    let workers = Workers::new(Arc::clone(&app), shutdown.clone(), timing);
    let workers = WorkerServiceServer::new(workers);
    let properties = PropertyServiceServer::new(Properties::new(app, closing()));
    let routes = Routes::new(health_service)
        .add_service(bounded!(jobs))
        .add_service(bounded!(runs))
        .add_service(bounded!(workers))
        .add_service(bounded!(properties));
    let flow = Flow::new(limits);
    let builder = Server::builder();
    // tonic's own grace would close an old connection without GOAWAY; the listener closes it instead.
    let builder = match limits.connection_age {
        Some(age) => builder.max_connection_age(age),
        None => builder,
    };
    let serving = builder
        .timeout(CALL_TIMEOUT)
        .max_concurrent_streams(limits.watches_per_client.saturating_add(CONCURRENT_CALLS))
        .http2_max_header_list_size(MAX_HEADERS)
        .initial_stream_window_size(CALL_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .add_routes(flow.bounded(with_reflection(routes)))
        .serve_with_incoming_shutdown(incoming(listener), shutdown.closing.cancelled());
    tokio::select! {
        served = serving => served,
        () = health::report(&reporter, &watched, &shutdown.draining) => Ok(()),
        () = flow.drop_unsent() => Ok(()),
    }
}

fn incoming(listener: Listener) -> impl Stream<Item = io::Result<Connection>> {
    stream::unfold(listener, |mut listener| async move {
        let connection = listener.accept().await;
        Some((Ok(connection), listener))
    })
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer().clone()
    }
}

/// The stream until the server closes, then UNAVAILABLE. Items that are ready by then are still sent.
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
                    let ended = unavailable("the server is shutting down", reason::SERVER_STOPPING);
                    Some((Err(ended), None))
                }
            }
        }
    })
}

fn mode(validate_only: bool) -> Mode {
    if validate_only { Mode::ValidateOnly } else { Mode::Commit }
}

/// Adds both versions of reflection, because some clients, such as Python's, only support v1alpha.
fn with_reflection(routes: Routes) -> Routes {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(windrow::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    match (builder().build_v1(), builder().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => routes.add_service(v1).add_service(v1alpha),
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "Server reflection is disabled: the descriptor set is invalid");
            routes
        }
    }
}
