//! The running Postgres: a child process, or one adopted from a server that was killed.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{Connection, PgConnection};
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};

use crate::account::Account;
use crate::binaries::Binaries;
use crate::cluster;
use crate::error::Error;
use crate::home::Home;
use crate::log;
use crate::orphan::{self, Found};

/// Interval between checks of a starting or stopping Postgres.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Limit for one connection attempt; a Postgres that does not answer may have died meanwhile.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Recovery after a crash replays the log of up to one checkpoint interval, which can take minutes.
const START_TIMEOUT: Duration = Duration::from_mins(5);
/// A Postgres that dies while starting may have met the last processes of its predecessor.
const START_ATTEMPTS: u32 = 3;
/// Time for these processes to notice that their postmaster is gone.
const ATTEMPT_DELAY: Duration = Duration::from_millis(500);
/// Signals that stop Postgres, and the time it has after each: "fast", "immediate", killed.
const STOP_STEPS: [(Signal, Duration); 3] = [
    (Signal::INT, Duration::from_secs(10)),
    (Signal::QUIT, Duration::from_secs(5)),
    (Signal::KILL, Duration::from_secs(5)),
];

#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) home: Home,
    pub(crate) account: Account,
    pub(crate) binaries: Binaries,
}

impl Launch {
    /// Connection options that ignore `PGHOST` and similar variables.
    pub(crate) fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("localhost")
            .socket(self.home.socket_dir())
            .port(5432)
            .username(cluster::NAME)
            .password("")
            .database(database)
            .ssl_mode(PgSslMode::Disable)
    }

    /// Adopts or launches Postgres and waits until it accepts connections. Retries, because an adopted
    /// Postgres may be shutting down, and a new one may start before the old one is gone.
    pub(crate) async fn bring_up(&self) -> Result<(Starting, PgConnection), Error> {
        let from = log::size(&self.home.log());
        for attempt in 1..=START_ATTEMPTS {
            let mut postmaster = Starting(Some(Postmaster::obtain(self)?));
            match postmaster.wait_until_ready().await {
                Readiness::Accepts(connection) => return Ok((postmaster, *connection)),
                Readiness::Died if attempt < START_ATTEMPTS => sleep(ATTEMPT_DELAY).await,
                Readiness::Died => {}
                Readiness::TimedOut => {
                    postmaster.stop().await?;
                    return Err(self.failure("did not accept connections within 5 minutes", from));
                }
            }
        }
        Err(self.failure("exited while starting", from))
    }

    fn failure(&self, failure: &'static str, from: u64) -> Error {
        let log = self.home.log();
        let tail = log::tail(&log, from);
        Error::Start { failure, log, tail }
    }
}

pub(crate) enum Readiness {
    /// Holds the first connection.
    Accepts(Box<PgConnection>),
    Died,
    /// Postgres runs, but does not accept connections.
    TimedOut,
}

/// A Postgres that is stopped if its start is cancelled.
#[derive(Debug)]
pub(crate) struct Starting(Option<Postmaster>);

impl Starting {
    /// Ends the start: from now on Postgres runs until it is stopped.
    pub(crate) fn finish(mut self) -> Option<Postmaster> {
        self.0.take()
    }

    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        match self.0.take() {
            Some(postmaster) => postmaster.stop().await,
            None => Ok(()),
        }
    }

    async fn wait_until_ready(&mut self) -> Readiness {
        match &mut self.0 {
            Some(postmaster) => postmaster.wait_until_ready().await,
            None => Readiness::Died,
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(postmaster) = &mut self.0 {
            postmaster.signal(Signal::INT);
        }
    }
}

/// A Postgres on our cluster.
#[derive(Debug)]
pub(crate) struct Postmaster {
    launch: Launch,
    process: Process,
}

#[derive(Debug)]
enum Process {
    /// A child process. Dropping it keeps Postgres running, for the next server to adopt.
    Child(Child),
    /// A Postgres of an earlier server. It has another parent now, so it cannot be reaped here.
    Adopted(i32),
}

impl Postmaster {
    /// The Postgres that an earlier server left running, if any.
    pub(crate) fn adopt(launch: &Launch) -> Option<Self> {
        let pid = orphan::find(&launch.home, &launch.account)?;
        tracing::info!(
            embedded.pid = pid,
            "Adopting Postgres (pid {pid}) of a server that was killed"
        );
        Some(Self { launch: launch.clone(), process: Process::Adopted(pid) })
    }

    pub(crate) fn obtain(launch: &Launch) -> Result<Self, Error> {
        match Self::adopt(launch) {
            Some(adopted) => Ok(adopted),
            None => Self::launch(launch),
        }
    }

    fn launch(launch: &Launch) -> Result<Self, Error> {
        launch.home.make_socket_dir(&launch.account)?;
        let log = log::open(&launch.home)?;
        let path = launch.home.log();
        let twin = log.try_clone().map_err(Error::file("open", &path))?;
        let program = launch.binaries.program("postgres");
        let child = cluster::program_command(&program, &launch.account)
            .args(orphan::arguments(&launch.home))
            .stdout(log)
            .stderr(twin)
            .spawn()
            .map_err(Error::file("run", &program))?;
        tracing::debug!(embedded.pid = child.id(), "Launched Postgres");
        Ok(Self { launch: launch.clone(), process: Process::Child(child) })
    }

    /// Checks whether Postgres still runs, and reaps it otherwise.
    pub(crate) fn is_running(&mut self) -> bool {
        match &mut self.process {
            Process::Child(child) => matches!(child.try_wait(), Ok(None)),
            Process::Adopted(pid) => {
                orphan::identify(*pid, &self.launch.home, &self.launch.account) == Found::Ours
            }
        }
    }

    /// Waits until Postgres accepts connections or exits. Cancel-safe: changes nothing.
    pub(crate) async fn wait_until_ready(&mut self) -> Readiness {
        let options = self.launch.options("postgres");
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            let attempt = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options)).await;
            if let Ok(Ok(connection)) = attempt {
                return Readiness::Accepts(Box::new(connection));
            }
            if !self.is_running() {
                return Readiness::Died;
            }
            sleep(POLL_INTERVAL).await;
        }
        Readiness::TimedOut
    }

    /// Stops Postgres, at first cleanly: open transactions are rolled back and a checkpoint is written.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        for (signal, limit) in STOP_STEPS {
            let deadline = Instant::now() + limit;
            self.signal(signal);
            while Instant::now() < deadline {
                if !self.is_running() {
                    return Ok(());
                }
                sleep(POLL_INTERVAL).await;
            }
            tracing::warn!("Postgres did not stop within {limit:?} after {signal:?}");
        }
        Err(Error::Stop { pid: self.pid().unwrap_or_default() })
    }

    /// `None` for a child that was reaped.
    fn pid(&self) -> Option<i32> {
        match &self.process {
            Process::Child(child) => child.id().and_then(|id| i32::try_from(id).ok()),
            Process::Adopted(pid) => Some(*pid),
        }
    }

    fn signal(&mut self, signal: Signal) {
        // The pid of an adopted process may have been reused: check immediately before.
        if !self.is_running() {
            return;
        }
        if let Some(pid) = self.pid().and_then(Pid::from_raw)
            && let Err(error) = kill_process(pid, signal)
        {
            tracing::warn!(%error, "Failed to send {signal:?} to Postgres");
        }
    }
}
