//! PgBouncer between a server and its database.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::future::join_all;
use sqlx::{Executor as _, Row as _};
use tempfile::TempDir;
use tokio::net::TcpStream;
use windrow_server::config::connect_options;
use windrow_server::store;

use super::{base, execute_run, refusal};
use crate::support::cluster::Programs;
use crate::support::database::new_database;
use crate::support::program::{Process, open_to_all};
use crate::support::{Windrow, eventually};

/// A running PgBouncer in front of the shared cluster.
struct PgBouncer {
    _process: Process,
    _dir: TempDir,
    port: u16,
}

impl PgBouncer {
    /// Starts it with its defaults and these settings.
    async fn start(settings: &str) -> Self {
        let programs = Programs::find().await;
        let dir = programs.new_dir();
        open_to_all(dir.path());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let base = url::Url::parse(&base()).unwrap();
        let (_, socket) = base.query_pairs().find(|(name, _)| name == "host").unwrap();
        let file = dir.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host={socket} user=windrow\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\n{settings}\n"
        );
        fs::write(&file, text).unwrap();
        let program = Path::new("/usr/sbin/pgbouncer");
        assert!(program.exists(), "PgBouncer is missing; run the tests with .dev/test");
        let mut command = programs.command(program.to_str().unwrap());
        let process =
            Process::spawn(command.arg(&file).stdout(Stdio::null()).stderr(Stdio::null()));
        let started = Self { _process: process, _dir: dir, port };
        // sqlx itself cannot connect to it without settings.
        let address = ("127.0.0.1", port);
        eventually("PgBouncer starts", async || TcpStream::connect(address).await.map(drop)).await;
        started
    }

    /// The same database, through PgBouncer.
    fn url(&self, url: &str) -> String {
        let name = url::Url::parse(url).unwrap().path().to_owned();
        format!("postgres://windrow@127.0.0.1:{}{name}", self.port)
    }
}

#[tokio::test]
async fn session_mode_needs_no_settings() {
    let pooler = PgBouncer::start("").await;
    let url = pooler.url(&new_database().await);
    let windrow = Windrow::start_on(&url, |_| {}).await;
    execute_run(&windrow).await;
    windrow.stop().await;

    let pool = store::connect(connect_options(&url).unwrap(), 2).await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let timeout = "show idle_in_transaction_session_timeout";
    let timeout: String = connection.fetch_one(timeout).await.unwrap().get(0);
    assert_eq!(timeout, "5s");
}

#[tokio::test]
async fn a_server_works_with_the_connections_that_the_pooler_assigns() {
    let pooler = PgBouncer::start("default_pool_size = 5").await;
    let url = pooler.url(&new_database().await);
    let windrow = Windrow::start_on(&url, |config| config.max_connections = 16).await;
    windrow.create("many").await;
    // The first calls find out.
    join_all((0..30).map(|_| windrow.trigger("many"))).await;
    let begin = Instant::now();
    let runs = join_all((0..30).map(|_| windrow.trigger("many"))).await;
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    for run in runs {
        windrow.end(&run.job_id).await;
    }
    windrow.stop().await;
}

#[tokio::test]
async fn modes_without_sessions_are_refused() {
    for settings in [
        "pool_mode = transaction",
        "pool_mode = transaction\nserver_round_robin = 1\nmin_pool_size = 3",
        "pool_mode = statement",
    ] {
        let pooler = PgBouncer::start(settings).await;
        let url = pooler.url(&new_database().await);
        let error = refusal(&url).await.to_string();
        assert!(error.contains("pool_mode = session in PgBouncer"), "{settings}: {error}");
    }
}
