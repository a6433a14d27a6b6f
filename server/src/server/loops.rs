//! The background loops of a server, in the groups in which they are stopped.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use windrow_embedded_postgres::EmbeddedPostgres;
use windrow_worker::Worker;

use super::exposure::{self, Exposure};
use crate::app::App;
use crate::config::Config;
use crate::engine::{
    LimitKeeper, LocalTransport, Notifier, Pruner, Reaper, RuleKeeper, Scheduler, Timekeeper,
};
use crate::error_chain::error_chain;
use crate::listener::Tls;
use crate::sources::SourceRegistry;
use crate::supervisor::Supervisor;
use crate::watch::Hub;

/// Limit for stopping the loops. None of them waits for running work.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The parts of a server that the loops use.
pub(super) struct Parts<'a> {
    pub(super) app: Arc<App>,
    pub(super) hub: Arc<Hub>,
    pub(super) timekeeper: Timekeeper,
    pub(super) embedded: Option<Arc<EmbeddedPostgres>>,
    pub(super) sources: SourceRegistry,
    pub(super) config: &'a Config,
}

pub(super) struct Loops {
    /// Creates and leases runs; stopped first.
    intake: Supervisor,
    worker: Arc<Worker>,
    /// Stopped after the last call is answered.
    background: Supervisor,
}

impl Loops {
    pub(super) fn start(parts: Parts<'_>) -> Self {
        let worker_id = parts.app.server().to_owned();
        info!(worker.id = %worker_id, "Executing runs as worker {worker_id}");
        let executed = parts.sources.executed();
        let transport = LocalTransport::new(
            Arc::clone(&parts.app),
            worker_id,
            executed.keys().cloned().collect(),
            parts.config.lease,
            parts.config.heartbeat,
        );
        let capacity = usize::try_from(parts.config.max_concurrent_runs).unwrap_or(usize::MAX);
        let loops = Self {
            intake: Supervisor::default(),
            worker: Arc::new(Worker::new(Arc::new(transport), executed, capacity)),
            background: Supervisor::default(),
        };
        loops.start_intake(&parts);
        loops.start_background(parts);
        loops
    }

    /// Keeps the certificate up to date, and warns of exposed addresses.
    pub(super) fn keep_edge(&self, tls: Option<Arc<Tls>>, exposed: Vec<Exposure>) {
        if let Some(tls) = tls {
            run(&self.background, "certificate keeper", tls, Tls::keep);
        }
        if !exposed.is_empty() {
            run(&self.background, "exposure", Arc::new(exposed), |it, stop| async move {
                exposure::warn_of(&it, stop).await;
            });
        }
    }

    /// Leases no more runs and waits for running ones. Runs that do not finish within `grace` go back
    /// to pending.
    pub(super) async fn drain(&self, grace: Duration) {
        self.intake.stop_within(STOP_TIMEOUT).await;
        if !self.worker.drain(grace).await {
            warn!(
                "Failed to return some runs to pending; other workers take over when their leases expire"
            );
        }
    }

    pub(super) async fn stop(&self) {
        if !self.background.stop_within(STOP_TIMEOUT).await {
            warn!("Some background loops did not stop within {STOP_TIMEOUT:?}");
        }
    }

    fn start_intake(&self, parts: &Parts<'_>) {
        let app = Arc::clone(&parts.app);
        self.intake.run("scheduler", move |stop| Scheduler::new(Arc::clone(&app)).run(stop));
        run(&self.intake, "worker", Arc::clone(&self.worker), |it, stop| async move {
            if let Err(error) = it.run(stop).await {
                error!(
                    error = error_chain(&error),
                    "Worker stopped; this server no longer executes runs"
                );
            }
        });
    }

    fn start_background(&self, parts: Parts<'_>) {
        let group = &self.background;
        let Parts { app, hub, timekeeper, embedded, config, .. } = parts;
        let worker = Arc::clone(&self.worker);
        run(group, "lease keeper", worker, |it, stop| async move { it.keep_leases(stop).await });
        let reaper = Arc::new(Reaper::new(Arc::clone(&app)));
        run(group, "reaper", reaper, |it, stop| async move { it.run(stop).await });
        let notifier = Arc::new(Notifier::new(Arc::clone(&app)));
        run(group, "notifier", notifier, |it, stop| async move { it.run(stop).await });
        run(group, "messenger", Arc::clone(&app), |it, stop| async move {
            stop.run_until_cancelled(it.forward_notifications()).await;
        });
        let limits = Arc::new(LimitKeeper::new(Arc::clone(&app)));
        run(group, "limit keeper", limits, |it, stop| async move { it.run(stop).await });
        let rules = Arc::new(RuleKeeper::new(Arc::clone(&app), config.time_zones.clone()));
        run(group, "rule keeper", rules, |it, stop| async move { it.run(stop).await });
        let pruner = Arc::new(Pruner::new(app));
        run(group, "pruner", pruner, |it, stop| async move { it.run(stop).await });
        let timekeeper = Arc::new(timekeeper);
        run(group, "timekeeper", timekeeper, |it, stop| async move { it.run(stop).await });
        let listener = Arc::clone(&hub);
        run(group, "hub", hub, |it, stop| async move { it.run(stop).await });
        run(group, "listener", listener, |it, stop| async move { it.listen(stop).await });
        if let Some(postgres) = embedded {
            let name = "embedded Postgres supervisor";
            run(group, name, postgres, |it, stop| async move { it.supervise(stop).await });
        }
    }
}

/// Runs a loop over a shared value.
fn run<T, F>(
    group: &Supervisor,
    name: &'static str,
    shared: Arc<T>,
    start: impl Fn(Arc<T>, CancellationToken) -> F + Send + 'static,
) where
    T: Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    group.run(name, move |stop| start(Arc::clone(&shared), stop));
}
