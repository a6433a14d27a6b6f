//! The running Postgres: launched as our child, or adopted from a server that was killed.

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

/// Between two looks at a starting or stopping Postgres.
const POLL: Duration = Duration::from_millis(20);
/// One attempt to connect; a Postgres that does not answer at all may have died meanwhile.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Recovery after a crash replays up to a checkpoint interval of log; that takes its time.
const START_LIMIT: Duration = Duration::from_mins(5);
/// A Postgres that dies at the start may have met the last processes of the one before.
const START_ATTEMPTS: u32 = 3;
/// Those need a moment to notice that their postmaster is gone.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(500);
/// How to ask Postgres to end, and how long to wait: "fast", "immediate", and not asking.
const STOP_STEPS: [(Signal, Duration); 3] = [
    (Signal::INT, Duration::from_secs(10)),
    (Signal::QUIT, Duration::from_secs(5)),
    (Signal::KILL, Duration::from_secs(5)),
];

/// All that a launch needs.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) home: Home,
    pub(crate) account: Account,
    pub(crate) binaries: Binaries,
}

impl Launch {
    /// How to connect to `database`. The variables `PGHOST` and so on must not lead elsewhere.
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

    /// Adopts or launches Postgres and waits until it accepts connections. A Postgres that was
    /// found may be on its way out, and a new one may start too soon after it: hence the attempts.
    pub(crate) async fn bring_up(&self) -> Result<(Postmaster, PgConnection), Error> {
        let from = log::size(&self.home.log());
        for attempt in 1..=START_ATTEMPTS {
            let mut postmaster = Postmaster::obtain(self)?;
            match postmaster.wait_until_ready().await {
                Readiness::Accepts(connection) => return Ok((postmaster, *connection)),
                Readiness::Died if attempt < START_ATTEMPTS => sleep(ATTEMPT_PAUSE).await,
                Readiness::Died => {}
                Readiness::TimedOut => {
                    postmaster.stop().await?;
                    return Err(self.failure("did not accept connections in time", from));
                }
            }
        }
        Err(self.failure("ended while starting", from))
    }

    fn failure(&self, what: &'static str, from: u64) -> Error {
        let log = self.home.log();
        let tail = log::tail(&log, from);
        Error::Start { what, log, tail }
    }
}

/// What became of a Postgres that was waited for.
pub(crate) enum Readiness {
    /// It accepts connections; this is the first.
    Accepts(Box<PgConnection>),
    Died,
    /// It lives, and nothing more.
    TimedOut,
}

/// A Postgres on our cluster.
#[derive(Debug)]
pub(crate) struct Postmaster {
    launch: Launch,
    process: Process,
}

#[derive(Debug)]
enum Process {
    /// Ours to reap. Dropping it lets it run, for the next server to adopt.
    Child(Child),
    /// Left by an earlier server; its parent is another process now, so we can only look at it.
    Adopted(i32),
}

impl Postmaster {
    /// The Postgres that an earlier server left running, if it did.
    pub(crate) fn adopt(launch: &Launch) -> Option<Self> {
        let pid = orphan::find(&launch.home, &launch.account)?;
        tracing::info!(embedded.pid = pid, "Adopting the Postgres of a server that was killed");
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

    /// Looks whether it still runs, and reaps it if not.
    pub(crate) fn is_running(&mut self) -> bool {
        match &mut self.process {
            Process::Child(child) => matches!(child.try_wait(), Ok(None)),
            Process::Adopted(pid) => {
                orphan::identify(*pid, &self.launch.home, &self.launch.account) == Found::Ours
            }
        }
    }

    /// Waits until it accepts connections or ends. Cancel-safe: it only looks.
    pub(crate) async fn wait_until_ready(&mut self) -> Readiness {
        let options = self.launch.options("postgres");
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            let attempt = timeout(CONNECT_LIMIT, PgConnection::connect_with(&options)).await;
            if let Ok(Ok(connection)) = attempt {
                return Readiness::Accepts(Box::new(connection));
            }
            if !self.is_running() {
                return Readiness::Died;
            }
            sleep(POLL).await;
        }
        Readiness::TimedOut
    }

    /// Ends it: first the clean way, which rolls back what runs and writes a checkpoint.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        for (signal, limit) in STOP_STEPS {
            let deadline = Instant::now() + limit;
            self.signal(signal);
            while Instant::now() < deadline {
                if !self.is_running() {
                    return Ok(());
                }
                sleep(POLL).await;
            }
            tracing::warn!(embedded.signal = ?signal, "Postgres did not stop at this signal");
        }
        Err(Error::Stop { pid: self.pid().unwrap_or_default() })
    }

    /// The number is known only while the process is ours to name: a reaped child has none.
    fn pid(&self) -> Option<i32> {
        match &self.process {
            Process::Child(child) => child.id().and_then(|id| i32::try_from(id).ok()),
            Process::Adopted(pid) => Some(*pid),
        }
    }

    fn signal(&mut self, signal: Signal) {
        // An adopted number could have been given out again: look right before.
        if !self.is_running() {
            return;
        }
        if let Some(pid) = self.pid().and_then(Pid::from_raw)
            && let Err(error) = kill_process(pid, signal)
        {
            tracing::warn!(embedded.signal = ?signal, %error, "Could not signal Postgres");
        }
    }
}
