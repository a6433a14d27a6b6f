//! The health service: NOT_SERVING while the database does not answer, and from the start of a shutdown on.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tracing::{info, warn};
use windrow::v1::property_service_server::SERVICE_NAME as PROPERTIES;
use windrow::v1::scheduled_job_service_server::SERVICE_NAME as SCHEDULED_JOBS;
use windrow::v1::scraping_job_service_server::SERVICE_NAME as SCRAPING_JOBS;
use windrow::v1::worker_service_server::SERVICE_NAME as WORKERS;

use super::status::settle_outage;
use crate::app::App;

const PERIOD: Duration = Duration::from_millis(500);

/// Reports the health until `draining`, then NOT_SERVING. Never returns: dropping the reporter would end the
/// streams of health watchers.
pub(super) async fn report(health: &HealthReporter, app: &App, draining: &CancellationToken) {
    let mut is_serving = true;
    while draining.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
        settle_outage();
        let is_answering = app.is_database_answering();
        if is_answering != is_serving {
            is_serving = is_answering;
            if is_serving {
                info!("The database answers again; health is SERVING");
                set_status(health, ServingStatus::Serving).await;
            } else {
                warn!("The database does not answer; health is NOT_SERVING until it does");
                set_status(health, ServingStatus::NotServing).await;
            }
        }
    }
    set_status(health, ServingStatus::NotServing).await;
    std::future::pending::<()>().await;
}

pub(super) async fn set_status(health: &HealthReporter, status: ServingStatus) {
    for service in ["", SCHEDULED_JOBS, SCRAPING_JOBS, WORKERS, PROPERTIES] {
        health.set_service_status(service, status).await;
    }
}
