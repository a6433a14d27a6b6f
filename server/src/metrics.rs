//! Metrics for Prometheus, in OpenMetrics text, collected at each scrape.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::serve::Listener as ServedListener;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::app::App;
use crate::clock::SystemClock;
use crate::domain::time_zones::time_zones;
use crate::listener::{Connection, Counts, Listener, Patience, Tls};
use crate::store::Pool;
use crate::telemetry;
use crate::watch::Hub;

/// Content type, see <https://prometheus.io/docs/specs/om/open_metrics_spec/>.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// More than all monitors together need.
pub(crate) const MAX_CONNECTIONS: usize = 32;
/// Longer than the pause between two scrapes.
pub(crate) const PATIENCE: Patience = Patience { time: Duration::from_mins(5), greeting: None };

pub(crate) struct Metrics {
    pub(crate) app: Arc<App>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) clock: Arc<SystemClock>,
    pub(crate) pool: Pool,
    /// Of the gRPC listener.
    pub(crate) connections: Arc<Counts>,
    pub(crate) tls: Option<Arc<Tls>>,
}

/// Adds a metric: name, help, unit and value.
type Add<'a> = dyn FnMut(&str, &str, Option<Unit>, &dyn EncodeMetric) -> fmt::Result + 'a;

impl Metrics {
    /// Serves `/metrics`; never returns unless it fails.
    pub(crate) async fn serve(self, listener: Listener) -> io::Result<()> {
        let mut registry = Registry::with_prefix("windrow");
        registry.register_collector(Box::new(self));
        let router = Router::new().route("/metrics", get(scrape)).with_state(Arc::new(registry));
        axum::serve(listener, router).await
    }
}

impl ServedListener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let connection = Listener::accept(self).await;
        let address = connection.peer().address;
        (connection, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.address()
    }
}

async fn scrape(State(registry): State<Arc<Registry>>) -> impl IntoResponse {
    let mut body = String::new();
    match text::encode(&mut body, &registry) {
        Ok(()) => Ok(([(CONTENT_TYPE, OPEN_METRICS)], body)),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut metric = |name: &str, help: &str, unit: Option<Unit>, value: &dyn EncodeMetric| {
            let kind = value.metric_type();
            value.encode(encoder.encode_descriptor(name, help, unit.as_ref(), kind)?)
        };
        let help = "Age of the oldest change that watches may not have received yet";
        let lag = self.hub.lag().unwrap_or_default().as_secs_f64();
        metric("feed_lag", help, Some(Unit::Seconds), &ConstGauge::new(lag))?;
        let watches = ConstGauge::new(self.app.open_watches());
        metric("watches", "Open watches", None, &watches)?;
        let help = "Times a watch overflowed its own buffer and fell back to shared history";
        metric("watch_overflows", help, None, &ConstCounter::new(self.hub.overflows()))?;
        if let Some(offset) = self.clock.offset() {
            let help =
                "Offset of the database clock from this machine's clock; corrected by the server";
            let offset = ConstGauge::new(offset.as_seconds_f64());
            metric("clock_offset", help, Some(Unit::Seconds), &offset)?;
        }
        let help =
            "Jobs that wait because the database's clock was ahead when their ticks were decided";
        metric("jobs_ahead", help, None, &ConstGauge::new(self.app.jobs_ahead()))?;
        self.connections(&mut metric)?;
        self.tls(&mut metric)?;
        let help = "Log lines that were dropped because stderr did not take them";
        let dropped = ConstCounter::new(telemetry::dropped_lines());
        metric("log_lines_dropped", help, None, &dropped)?;
        let zones = time_zones();
        let labels =
            vec![("edition", zones.edition().to_owned()), ("origin", zones.origin().to_string())];
        metric("time_zone_data", "Rules of time zones in use", None, &Info::new(labels))?;
        let open = self.pool.size();
        let help = "Database connections of the pool shared by calls and loops";
        metric("database_connections", help, None, &ConstGauge::new(open))?;
        let busy = open.saturating_sub(self.pool.idle());
        let help = "Database connections in use";
        metric("database_connections_busy", help, None, &ConstGauge::new(busy))
    }
}

impl Metrics {
    fn connections(&self, metric: &mut Add<'_>) -> fmt::Result {
        let connections = &self.connections;
        let open = ConstGauge::new(u64::try_from(connections.open()).unwrap_or(u64::MAX));
        metric("connections", "Open connections of clients and workers", None, &open)?;
        let help = "Connections closed at once, because the limit was reached";
        metric("connections_refused", help, None, &ConstCounter::new(connections.refused()))?;
        let help = "Connections closed at once, because the limit of their address was reached";
        let refused = ConstCounter::new(connections.refused_of_address());
        metric("connections_refused_of_address", help, None, &refused)?;
        let help = "Connections that reached the maximum age and were asked to end";
        metric("connections_aged", help, None, &ConstCounter::new(connections.aged()))?;
        let help = "Failures to accept a connection, for example for lack of descriptors";
        metric("accept_errors", help, None, &ConstCounter::new(connections.errors()))
    }

    fn tls(&self, metric: &mut Add<'_>) -> fmt::Result {
        let Some(tls) = &self.tls else { return Ok(()) };
        let help = "End of the validity of the TLS certificate, in Unix time";
        let end = ConstGauge::new(tls.not_after().timestamp());
        metric("tls_certificate_not_after_timestamp", help, Some(Unit::Seconds), &end)?;
        let help = "Checks of changed TLS files that failed; the certificate before stays in use";
        metric("tls_reload_failures", help, None, &ConstCounter::new(tls.failed_reloads()))?;
        let help = "Connections of clients that failed in the TLS handshake";
        metric("tls_handshake_failures", help, None, &ConstCounter::new(tls.failed_handshakes()))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}
