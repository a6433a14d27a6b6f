//! Servers, workers, a database, and the connections between them.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use sqlx::PgPool;
use tokio::time::{Instant, sleep, timeout};
use windrow_client::{Client, Code, Error};

use crate::postgres::Postgres;
use crate::support::PATIENCE;
use crate::support::program::{Process, Program};
use crate::support::proxy::{Line, Proxy, Upstream};

/// A call without an answer in this time goes to the next server.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(2);

pub struct Stage {
    /// Text of the servers' `windrow.toml`.
    settings: &'static str,
    servers: Vec<Server>,
    workers: Vec<Worker>,
    database_lines: Vec<DatabaseLine>,
    postgres: Option<Postgres>,
    /// Takes turns among the servers.
    calls: AtomicUsize,
}

/// A server, and the line through which workers and watchers reach it.
struct Server {
    database_url: String,
    program: Mutex<Program>,
    line: Proxy,
}

/// A worker process, and the server whose line it uses.
struct Worker {
    server: usize,
    command: Box<dyn Fn(&str) -> Command + Send + Sync>,
    process: Mutex<Process>,
}

/// The line between a server and its database.
pub struct DatabaseLine {
    proxy: Proxy,
    normal: Line,
}

impl Stage {
    /// Starts one server per database URL.
    pub async fn start(settings: &'static str, database_urls: &[String]) -> Self {
        let mut servers = Vec::new();
        for url in database_urls {
            let program = start_server(settings, url);
            let line = Proxy::start(&program.address).await;
            servers.push(Server { database_url: url.clone(), program: Mutex::new(program), line });
        }
        Self {
            settings,
            servers,
            workers: Vec::new(),
            database_lines: Vec::new(),
            postgres: None,
            calls: AtomicUsize::new(0),
        }
    }

    /// Makes the database of all servers available for faults.
    pub fn with_postgres(self, postgres: Postgres) -> Self {
        Self { postgres: Some(postgres), ..self }
    }

    /// Makes the lines to the database, one per server, available for faults.
    pub fn with_database_lines(self, database_lines: Vec<DatabaseLine>) -> Self {
        Self { database_lines, ..self }
    }

    /// Starts a worker on each line; `command` gets the server's address.
    pub fn with_workers(
        mut self,
        command: impl Fn(&str) -> Command + Copy + Send + Sync + 'static,
    ) -> Self {
        for (server, Server { line, .. }) in self.servers.iter().enumerate() {
            let process = Mutex::new(Process::spawn(&mut command(&line.address)));
            self.workers.push(Worker { server, command: Box::new(command), process });
        }
        self
    }

    pub fn servers(&self) -> usize {
        self.servers.len()
    }

    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    pub fn server(&self, number: usize) -> MutexGuard<'_, Program> {
        self.servers[number].program.lock().unwrap()
    }

    pub fn worker(&self, number: usize) -> MutexGuard<'_, Process> {
        self.workers[number].process.lock().unwrap()
    }

    pub fn line(&self, server: usize) -> &Proxy {
        &self.servers[server].line
    }

    pub fn database_line(&self, server: usize) -> &DatabaseLine {
        &self.database_lines[server]
    }

    pub fn postgres(&self) -> &Postgres {
        self.postgres.as_ref().unwrap()
    }

    /// Addresses of the servers themselves, without the lines.
    pub fn addresses(&self) -> Vec<String> {
        (0..self.servers()).map(|number| self.server(number).address.clone()).collect()
    }

    /// Blocks until the server listens.
    pub fn restart_server(&self, number: usize) {
        let Server { database_url, program, line } = &self.servers[number];
        let server = start_server(self.settings, database_url);
        line.leads_to(Upstream::Address(server.address.clone()));
        *program.lock().unwrap() = server;
    }

    pub fn restart_worker(&self, number: usize) {
        let Worker { server, command, process } = &self.workers[number];
        *process.lock().unwrap() = Process::spawn(&mut command(&self.line(*server).address));
    }

    /// Calls one server after another until one answers: any of them, or the database, may be down.
    pub async fn call<T, F>(&self, call: impl Fn(Client) -> F) -> T
    where
        F: Future<Output = Result<T, Error>>,
    {
        let begin = Instant::now();
        loop {
            let number = self.calls.fetch_add(1, Ordering::Relaxed) % self.servers();
            let client = Client::connect_lazy(&self.server(number).address).unwrap();
            let failure = match timeout(CALL_TIMEOUT, call(client)).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(error)) if is_transient(&error) => error.to_string(),
                Ok(Err(error)) => panic!("{error}"),
                Err(elapsed) => elapsed.to_string(),
            };
            assert!(begin.elapsed() < PATIENCE, "no server answers: {failure}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Kills the servers, then stops Postgres.
    pub async fn stop(&self) {
        (0..self.servers()).for_each(|number| self.server(number).process.kill());
        self.postgres().stop().await;
    }
}

impl DatabaseLine {
    /// A line with this quality except during a fault.
    pub async fn start(database_url: &str, normal: Line) -> Self {
        let proxy = Proxy::start_to(Upstream::database(database_url)).await;
        proxy.set(normal);
        Self { proxy, normal }
    }

    /// The same database, through this line.
    pub fn url(&self, database_url: &str) -> String {
        self.proxy.database_url(database_url)
    }

    pub fn cut(&self) {
        self.proxy.cut();
    }

    pub fn freeze(&self) {
        self.proxy.set(Line::Frozen);
    }

    pub fn restore(&self) {
        self.proxy.set(self.normal);
    }
}

/// Waits until every run has ended, as long as their number falls.
pub async fn wait_until_all_runs_ended(pool: &PgPool) {
    let active = "select job_id || ' ' || status from scraping_job where completed_at is null";
    let (mut begin, mut before) = (Instant::now(), usize::MAX);
    loop {
        let runs: Vec<String> = sqlx::query_scalar(active).fetch_all(pool).await.unwrap();
        if runs.is_empty() {
            return;
        }
        if runs.len() < before {
            (begin, before) = (Instant::now(), runs.len());
        }
        assert!(begin.elapsed() < PATIENCE, "runs do not end: {runs:#?}");
        sleep(Duration::from_millis(200)).await;
    }
}

fn start_server(settings: &str, database_url: &str) -> Program {
    // One module logs the address; the others would report every fault.
    let environment = [("WINDROW_LOG", "error,windrow_server::server=info")];
    Program::start(&["--database-url", database_url], settings, &environment)
}

fn is_transient(error: &Error) -> bool {
    match error.code() {
        Code::Unavailable
        | Code::Aborted
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::Cancelled
        | Code::ResourceExhausted => true,
        // The end of a pause was in the future when the call was sent, but the call took too long.
        Code::InvalidArgument => {
            error.to_string().contains("future")
                || error
                    .field_violations()
                    .iter()
                    .any(|violation| violation.field == "paused_until")
        }
        _ => false,
    }
}
