//! A Postgres that keeps its commits when it is killed, and restarts.

use std::process::Command;
use std::sync::Arc;

use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use windrow_embedded_postgres::{Durability, EmbeddedPostgres, Settings};

use crate::support::{eventually, program};

pub struct Postgres {
    pub url: String,
    embedded: Arc<EmbeddedPostgres>,
    supervisor: TaskTracker,
    stop: CancellationToken,
    _data: TempDir,
}

impl Postgres {
    pub async fn start() -> Self {
        let data = tempfile::tempdir_in("/var/tmp").unwrap();
        program::open_to_all(data.path());
        let settings = Settings {
            data_dir: data.path().join("data"),
            bin_dir: None,
            durability: Durability::Durable,
        };
        let embedded = Arc::new(EmbeddedPostgres::start(settings).await.unwrap());
        let url = embedded.connect_options().to_url_lossy().to_string();
        let stop = CancellationToken::new();
        let (kept, until) = (Arc::clone(&embedded), stop.clone());
        let supervisor = TaskTracker::new();
        supervisor.spawn(async move { kept.supervise(until).await });
        Self { url, embedded, supervisor, stop, _data: data }
    }

    /// kill -9 of the postmaster; its supervisor restarts it.
    pub fn kill(&self) {
        // No file while it restarts: then it is dead already.
        let file = self.embedded.data_dir().join("postgres/postmaster.pid");
        let Ok(text) = std::fs::read_to_string(file) else { return };
        if let Some(pid) = text.lines().next() {
            Command::new("kill").args(["-9", pid]).status().unwrap();
        }
    }

    /// Waits until it accepts connections.
    pub async fn wait_until_ready(&self) {
        eventually("Postgres accepts connections", || PgConnection::connect(&self.url)).await;
    }

    pub async fn stop(&self) {
        self.stop.cancel();
        self.embedded.stop().await.unwrap();
        self.supervisor.close();
        self.supervisor.wait().await;
    }
}
