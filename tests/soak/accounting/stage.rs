//! Three servers and their Postgres.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use windrow_embedded_postgres::{Durability, EmbeddedPostgres, Settings};

use super::TICK;
use crate::support::PATIENCE;
use crate::support::program::{self, Program};

pub const SERVERS: usize = 3;
/// Runs of two seconds, so that some are in the way of the next tick, and more jobs than room for them.
const SETTINGS: &str = r#"
lease = "4s"
heartbeat = "1s"
max_concurrent_runs = 8

[sources.quick]
kind = "sample"
listings_per_location = 1

[sources.two_seconds]
kind = "exec"
command = ["sh", "-c", "sleep 2; echo '{\"property_id\": \"1\"}'"]
"#;

pub struct Stage {
    pub database_url: String,
    servers: Vec<Mutex<Program>>,
    postgres: Arc<EmbeddedPostgres>,
    supervised: JoinHandle<()>,
    stop: CancellationToken,
    _data: TempDir,
}

impl Stage {
    #[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
    pub async fn new() -> Self {
        let data = tempfile::tempdir_in("/var/tmp").unwrap();
        program::open_to_all(data.path());
        let settings = Settings {
            data_dir: data.path().join("data"),
            bin_dir: None,
            // What is committed must survive the kills.
            durability: Durability::Durable,
        };
        let postgres = Arc::new(EmbeddedPostgres::start(settings).await.unwrap());
        let database_url = postgres.connect_options().to_url_lossy().to_string();
        let stop = CancellationToken::new();
        let (kept, until) = (Arc::clone(&postgres), stop.clone());
        let supervised = tokio::spawn(async move { kept.supervise(until).await });
        let servers = (0..SERVERS).map(|_| Mutex::new(start_server(&database_url))).collect();
        Self { database_url, servers, postgres, supervised, stop, _data: data }
    }

    pub fn addresses(&self) -> Vec<String> {
        (0..SERVERS).map(|number| self.server(number).address.clone()).collect()
    }

    pub fn server(&self, number: usize) -> MutexGuard<'_, Program> {
        self.servers[number].lock().unwrap()
    }

    /// Blocks until it serves.
    pub fn restart_server(&self, number: usize) {
        let server = start_server(&self.database_url);
        *self.server(number) = server;
    }

    /// kill -9 of the postmaster; whoever supervises it starts it again.
    pub fn kill_postgres(&self) {
        // Absent while it is being started again: then it is dead already.
        if let Some(pid) = self.postmaster() {
            Command::new("kill").args(["-9", &pid]).status().unwrap();
        }
    }

    /// Waits until Postgres accepts connections.
    pub async fn postgres_is_back(&self) {
        let begin = Instant::now();
        while PgConnection::connect(&self.database_url).await.is_err() {
            assert!(begin.elapsed() < PATIENCE, "Postgres does not come back");
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn postmaster(&self) -> Option<String> {
        let file: PathBuf = self.postgres.data_dir().join("postgres/postmaster.pid");
        Some(std::fs::read_to_string(file).ok()?.lines().next()?.to_owned())
    }

    pub async fn stop(&self) {
        for number in 0..SERVERS {
            self.server(number).process.kill();
        }
        self.stop.cancel();
        self.postgres.stop().await.unwrap();
        while !self.supervised.is_finished() {
            tokio::task::yield_now().await;
        }
    }
}

fn start_server(database_url: &str) -> Program {
    let tick = TICK.to_string();
    // The address is told by this module; the others complain about every fault.
    let environment = [
        ("WINDROW_LOG", "off,windrow_server::server=info"),
        ("WINDROW_TEST_TICK_SECONDS", tick.as_str()),
    ];
    Program::start(&["--database-url", database_url], SETTINGS, &environment)
}
