//! The embedded database: a private Postgres run from the machine's binaries.
//!
//! It promises a cluster that survives restarts and has one owner, that is reached through a unix
//! socket only, is restarted when it dies, is stopped cleanly with the server, and is usable again
//! after a kill -9 of the server: a Postgres that outlived its server is adopted. Works as root,
//! where Postgres runs as `postgres` or `nobody`.
//!
//! Left out on purpose: downloads, upgrades between major versions, backups, TCP. Linux only, as it
//! recognises its processes through `/proc`.

use std::fs;
use std::path::{Path, PathBuf};

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

mod account;
mod binaries;
mod cluster;
mod error;
mod home;
mod log;
mod orphan;
mod postmaster;
mod supervise;

pub use error::Error;

use account::Account;
use binaries::Binaries;
use home::{Home, OwnerLock};
use postmaster::{Launch, Postmaster};

/// Where the embedded Postgres lives and how careful it is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory of everything it keeps; made if missing. Under root, Postgres' user must be
    /// able to enter all of its parents, so not under `/root`.
    pub data_dir: PathBuf,
    /// The directory of `initdb` and `postgres`. `None` looks in `PATH`, `/usr/lib/postgresql` and
    /// `pg_config`.
    pub bin_dir: Option<PathBuf>,
    /// Whether commits survive a crash.
    pub durability: Durability,
}

/// What a commit is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A commit is on disk.
    Durable,
    /// For tests: nothing is forced to disk. A crash of Postgres loses the last commits, one of the
    /// machine may ruin the cluster.
    Throwaway,
}

/// A running embedded Postgres, and the ownership of its data directory.
///
/// Dropped without [`EmbeddedPostgres::stop`] it gives up the directory and leaves Postgres
/// running; the next start adopts it.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    launch: Launch,
    created: bool,
    stopping: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    postmaster: Option<Postmaster>,
    owner: Option<OwnerLock>,
}

impl EmbeddedPostgres {
    /// Takes the data directory, makes the cluster on the first start, launches or adopts Postgres,
    /// and returns when the database `windrow` accepts connections. A cancelled start leaves
    /// nothing that would hinder the next.
    pub async fn start(settings: Settings) -> Result<Self, Error> {
        let home = Home::open(&settings.data_dir)?;
        let owner = home.lock()?;
        let account = Account::choose(&home.cluster())?;
        account.check_can_enter(&home.dir)?;
        cluster::remove_unfinished(&home).await;
        let version = cluster::version(&home)?;
        let place = home.cluster();
        let wanted = version.map(|major| (place.as_path(), major));
        let binaries = Binaries::find(settings.bin_dir.as_deref(), wanted).await?;
        if version.is_none() {
            cluster::create(&home, &account, &binaries, settings.durability).await?;
        }
        let launch = Launch { home, account, binaries };
        apply_settings(&launch, settings.durability).await?;
        let (postmaster, connection) = launch.bring_up().await?;
        if let Err(error) = prepare_database(connection).await {
            postmaster.stop().await?;
            return Err(error.into());
        }
        Ok(Self {
            launch,
            created: version.is_none(),
            stopping: CancellationToken::new(),
            state: Mutex::new(State { postmaster: Some(postmaster), owner: Some(owner) }),
        })
    }

    /// How to connect to the database `windrow`, over the unix socket.
    pub fn connect_options(&self) -> PgConnectOptions {
        self.launch.options(cluster::NAME)
    }

    /// Whether this start made the cluster.
    pub fn created(&self) -> bool {
        self.created
    }

    /// The data directory, absolute and without links.
    pub fn data_dir(&self) -> &Path {
        &self.launch.home.dir
    }

    /// Stops Postgres and gives up the data directory. Open transactions are rolled back: drain
    /// first. Takes at most 20 seconds; [`EmbeddedPostgres::supervise`] ends. A second call does
    /// nothing.
    pub async fn stop(&self) -> Result<(), Error> {
        self.stopping.cancel();
        let mut state = self.state.lock().await;
        let stopped = match state.postmaster.take() {
            Some(postmaster) => postmaster.stop().await,
            None => Ok(()),
        };
        // The lock goes last, so that the next owner does not meet this Postgres.
        state.owner = None;
        stopped
    }
}

/// Writes the settings if they differ from the last ones. A Postgres that still runs with those is
/// stopped before: once the file is new, it would be adopted as if it knew.
async fn apply_settings(launch: &Launch, durability: Durability) -> Result<(), Error> {
    let text = cluster::settings(&launch.home, durability);
    if fs::read_to_string(launch.home.settings()).is_ok_and(|current| current == text) {
        return Ok(());
    }
    if let Some(orphan) = Postmaster::adopt(launch) {
        orphan.stop().await?;
    }
    cluster::write_settings(&launch.home, &text, durability)
}

async fn prepare_database(mut connection: PgConnection) -> Result<(), sqlx::Error> {
    let found = sqlx::query("select 1 from pg_database where datname = 'windrow'")
        .fetch_optional(&mut connection)
        .await?;
    if found.is_none() {
        sqlx::query("create database windrow").execute(&mut connection).await?;
    }
    connection.close().await
}
