//! What the server tells of itself in numbers: read when somebody asks, in OpenMetrics' text.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use sqlx::PgPool;
use tokio::net::TcpListener;

use crate::app::App;
use crate::clock::SystemClock;
use crate::watch::Hub;

/// Of the text, as <https://prometheus.io/docs/specs/om/open_metrics_spec/> has it.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where the numbers are read.
pub(crate) struct Metrics {
    pub(crate) app: Arc<App>,
    /// The feed and its watches.
    pub(crate) hub: Arc<Hub>,
    pub(crate) clock: Arc<SystemClock>,
    pub(crate) pool: PgPool,
}

impl Metrics {
    /// Serves `/metrics` until it is dropped.
    pub(crate) async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        let mut registry = Registry::with_prefix("windrow");
        registry.register_collector(Box::new(self));
        let router = Router::new().route("/metrics", get(scrape)).with_state(Arc::new(registry));
        axum::serve(listener, router).await
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
        let mut tell = |name: &str, help: &str, unit: Option<Unit>, metric: &dyn EncodeMetric| {
            let kind = metric.metric_type();
            metric.encode(encoder.encode_descriptor(name, help, unit.as_ref(), kind)?)
        };
        let help = "For how long there may be changes that watches cannot be shown";
        let lag = self.hub.lag().unwrap_or_default().as_secs_f64();
        tell("feed_lag", help, Some(Unit::Seconds), &ConstGauge::new(lag))?;
        let watches = ConstGauge::new(self.app.open_watches());
        tell("watches", "Streams of watches that are open", None, &watches)?;
        let help = "How often a watch had more to take than is kept for it alone";
        tell("watch_overflows", help, None, &ConstCounter::new(self.hub.overflows()))?;
        if let Some(offset) = self.clock.offset() {
            let help = "How far the database's clock is ahead of this machine's; it is corrected";
            let offset = ConstGauge::new(offset.as_seconds_f64());
            tell("clock_offset", help, Some(Unit::Seconds), &offset)?;
        }
        let open = self.pool.size();
        let help = "Connections to the database, of the pool that calls and loops share";
        tell("database_connections", help, None, &ConstGauge::new(open))?;
        let busy = usize::try_from(open).unwrap_or(usize::MAX).saturating_sub(self.pool.num_idle());
        let help = "Those of them that are in use";
        tell("database_connections_busy", help, None, &ConstGauge::new(busy))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}
