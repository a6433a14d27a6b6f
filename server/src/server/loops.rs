//! The loops of a server, in the groups in which they are stopped.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app::App;
use crate::config::Config;
use crate::engine::{
    Attempts, Dispatcher, Executor, Notifier, Pruner, Reaper, Scheduler, StopCause, Timekeeper,
};
use crate::sources::SourceRegistry;
use crate::store::embedded::EmbeddedPostgres;
use crate::supervisor::Supervisor;
use crate::watch::Hub;

/// How long loops may take to end. None of them waits for work.
const STOP: Duration = Duration::from_secs(5);
/// How long interrupted work may take to put itself back to pending.
const RELEASE: Duration = Duration::from_secs(10);

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
    /// The work.
    executions: Supervisor,
    attempts: Arc<Attempts>,
    /// Keeps order, until after the last call is answered.
    background: Supervisor,
}

impl Loops {
    /// Starts them all.
    pub(super) fn start(parts: Parts<'_>) -> Self {
        let Config { lease, heartbeat, .. } = *parts.config;
        let attempts = Arc::new(Attempts::new(Arc::clone(&parts.app), lease, heartbeat));
        let loops = Self {
            intake: Supervisor::default(),
            executions: Supervisor::default(),
            attempts,
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
        if self.executions.stop_within(grace).await {
            return;
        }
        info!("What is not done goes back to pending");
        self.attempts.stop_all(StopCause::ServerStops);
        if !self.executions.stop_within(RELEASE).await {
            warn!("Some work could not be put back; it is taken over when its lease expires");
        }
    }

    /// Ends the rest.
    pub(super) async fn stop(&self) {
        if !self.background.stop_within(STOP).await {
            warn!("Some loops did not end");
        }
    }

    fn take_work(&self, parts: &Parts<'_>) {
        let (lease, room) = (parts.config.lease, parts.config.max_concurrent_runs);
        let worker_id = worker_id();
        info!(worker.id = %worker_id, "This server is worker {worker_id}");
        let app = Arc::clone(&parts.app);
        let (sources, attempts) = (parts.sources.clone(), Arc::clone(&self.attempts));
        let executor = Executor::new(Arc::clone(&app), sources, attempts, worker_id, lease);
        let dispatcher = Arc::new(Dispatcher::new(
            Arc::clone(&app),
            Arc::new(executor),
            self.executions.clone(),
            usize::try_from(room).unwrap_or(usize::MAX),
        ));
        self.intake.run("scheduler", move |stop| Scheduler::new(Arc::clone(&app)).run(stop));
        run(&self.intake, "dispatcher", dispatcher, |it, stop| async move { it.run(stop).await });
    }

    fn keep_order(&self, parts: Parts<'_>) {
        let group = &self.background;
        let Parts { app, hub, timekeeper, embedded, .. } = parts;
        let attempts = Arc::clone(&self.attempts);
        run(group, "lease keeper", attempts, |it, stop| async move { it.run(stop).await });
        let reaper = Arc::new(Reaper::new(Arc::clone(&app)));
        run(group, "reaper", reaper, |it, stop| async move { it.run(stop).await });
        let notifier = Arc::new(Notifier::new(Arc::clone(&app)));
        run(group, "notifier", notifier, |it, stop| async move { it.run(stop).await });
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

/// Says where and which process, and is never used twice.
fn worker_id() -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    format!("{host}-{}-{:06x}", std::process::id(), rand::random::<u32>() & 0xff_ffff)
}
