//! The loops of a server, in the groups in which they are stopped.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use windrow_embedded_postgres::EmbeddedPostgres;
use windrow_worker::Worker;

use crate::app::App;
use crate::config::Config;
use crate::engine::{LocalTransport, Notifier, Pruner, Reaper, Scheduler, Timekeeper};
use crate::error_chain::error_chain;
use crate::sources::SourceRegistry;
use crate::supervisor::Supervisor;
use crate::watch::Hub;

/// How long loops may take to end. None of them waits for work.
const STOP: Duration = Duration::from_secs(5);

/// What the loops work with.
pub(super) struct Parts<'a> {
    pub(super) app: Arc<App>,
    pub(super) hub: Arc<Hub>,
    pub(super) timekeeper: Timekeeper,
    pub(super) embedded: Option<Arc<EmbeddedPostgres>>,
    pub(super) sources: SourceRegistry,
    pub(super) config: &'a Config,
}

/// The loops that run.
pub(super) struct Loops {
    /// Makes and takes work.
    intake: Supervisor,
    worker: Arc<Worker>,
    worker_id: String,
    app: Arc<App>,
    /// Keeps order, until after the last call is answered.
    background: Supervisor,
}

impl Loops {
    pub(super) fn start(parts: Parts<'_>) -> Self {
        let worker_id = parts.app.server().to_owned();
        info!(worker.id = %worker_id, "This server is worker {worker_id}");
        let executed = parts.sources.executed();
        let transport = LocalTransport::new(
            Arc::clone(&parts.app),
            worker_id.clone(),
            executed.keys().cloned().collect(),
            parts.config.lease,
            parts.config.heartbeat,
        );
        let room = usize::try_from(parts.config.max_concurrent_runs).unwrap_or(usize::MAX);
        let loops = Self {
            intake: Supervisor::default(),
            worker: Arc::new(Worker::new(Arc::new(transport), executed, room)),
            worker_id,
            app: Arc::clone(&parts.app),
            background: Supervisor::default(),
        };
        loops.take_work(&parts);
        loops.keep_order(parts);
        loops
    }

    /// Takes no more work, and waits for what is in progress. What is not done within `grace` goes
    /// back to pending.
    pub(super) async fn drain(&self, grace: Duration) {
        self.intake.stop_within(STOP).await;
        if !self.worker.drain(grace).await {
            warn!("Some work could not be put back; it is taken over when its lease expires");
        }
        if let Err(error) = self.app.forget_worker(&self.worker_id).await {
            warn!(error = error_chain(&error), "This server still counts as a worker for a minute");
        }
    }

    pub(super) async fn stop(&self) {
        if !self.background.stop_within(STOP).await {
            warn!("Some loops did not end");
        }
    }

    fn take_work(&self, parts: &Parts<'_>) {
        let app = Arc::clone(&parts.app);
        self.intake.run("scheduler", move |stop| Scheduler::new(Arc::clone(&app)).run(stop));
        run(&self.intake, "worker", Arc::clone(&self.worker), |it, stop| async move {
            if let Err(error) = it.run(stop).await {
                error!(error = error_chain(&error), "This server takes no more runs");
            }
        });
    }

    fn keep_order(&self, parts: Parts<'_>) {
        let group = &self.background;
        let Parts { app, hub, timekeeper, embedded, .. } = parts;
        let worker = Arc::clone(&self.worker);
        run(group, "lease keeper", worker, |it, stop| async move { it.keep_leases(stop).await });
        let reaper = Arc::new(Reaper::new(Arc::clone(&app)));
        run(group, "reaper", reaper, |it, stop| async move { it.run(stop).await });
        let notifier = Arc::new(Notifier::new(Arc::clone(&app)));
        run(group, "notifier", notifier, |it, stop| async move { it.run(stop).await });
        run(group, "messenger", Arc::clone(&app), |it, stop| async move {
            stop.run_until_cancelled(it.forward_notifications()).await;
        });
        let pruner = Arc::new(Pruner::new(app));
        run(group, "pruner", pruner, |it, stop| async move { it.run(stop).await });
        let timekeeper = Arc::new(timekeeper);
        run(group, "timekeeper", timekeeper, |it, stop| async move { it.run(stop).await });
        let listener = Arc::clone(&hub);
        run(group, "hub", hub, |it, stop| async move { it.run(stop).await });
        run(group, "listener", listener, |it, stop| async move { it.listen(stop).await });
        if let Some(postgres) = embedded {
            let name = "embedded database";
            run(group, name, postgres, |it, stop| async move { it.supervise(stop).await });
        }
    }
}

/// Runs a loop over something shared.
fn run<T, F>(
    group: &Supervisor,
    name: &'static str,
    it: Arc<T>,
    start: impl Fn(Arc<T>, CancellationToken) -> F + Send + 'static,
) where
    T: Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    group.run(name, move |stop| start(Arc::clone(&it), stop));
}
