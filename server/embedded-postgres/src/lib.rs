//! A private Postgres, run from the binaries that are installed on the machine.
//!
//! ```no_run
//! use windrow_embedded_postgres::{Durability, EmbeddedPostgres, Settings};
//!
//! # async fn example() -> Result<(), windrow_embedded_postgres::Error> {
//! let postgres = EmbeddedPostgres::start(Settings {
//!     data_dir: "/var/lib/windrow".into(),
//!     bin_dir: None,
//!     durability: Durability::Durable,
//! })
//! .await?;
//! let options = postgres.connect_options(); // for an sqlx pool
//! postgres.stop().await
//! # }
//! ```
//!
//! - The cluster survives restarts and is reachable only through a unix socket that no other user can
//!   open.
//! - One process owns a data directory at a time; a second one gets [`Error::Owned`].
//! - [`EmbeddedPostgres::supervise`] restarts Postgres when it dies.
//! - After a kill -9 of the owner, the next start adopts the Postgres that is still running.
//! - Under root, Postgres runs as the user `postgres` or `nobody`.
//!
//! Not included: downloads, upgrades between major versions, backups, TCP. Linux only, because it
//! identifies its processes through `/proc`.

#![warn(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

mod access;
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

/// Settings of an embedded Postgres.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Directory of the cluster, the socket and the log; created if it is missing. Under root, the user
    /// that Postgres runs as must be able to enter all of its parents, so it cannot be under `/root`.
    pub data_dir: PathBuf,
    /// Directory of `initdb` and `postgres`. `None` searches `PATH`, `/usr/lib/postgresql` and
    /// `pg_config --bindir`.
    pub bin_dir: Option<PathBuf>,
    /// Whether commits survive a crash.
    pub durability: Durability,
}

/// Durability of commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Commits are on disk.
    Durable,
    /// Nothing is forced to disk, which starts test clusters faster. A crash of Postgres loses the
    /// last commits; a crash of the machine may corrupt the cluster.
    Throwaway,
}

/// A running embedded Postgres, and the ownership of its data directory.
///
/// Dropped without [`EmbeddedPostgres::stop`] it releases the directory and leaves Postgres running;
/// the next start adopts it.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    launch: Launch,
    stopping: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    postmaster: Option<Postmaster>,
    owner: Option<OwnerLock>,
}

impl EmbeddedPostgres {
    /// Whether a start would find a cluster instead of creating one.
    pub fn exists(data_dir: &Path) -> bool {
        Home { dir: data_dir.to_owned() }.cluster().exists()
    }

    /// Locks the data directory, creates the cluster on the first start, launches or adopts Postgres,
    /// and returns when the database `windrow` accepts connections. A cancelled start stops Postgres and
    /// does not affect the next start.
    pub async fn start(settings: Settings) -> Result<Self, Error> {
        let home = Home::open(&settings.data_dir)?;
        let owner = home.lock()?;
        let account = Account::choose(&home.cluster())?;
        account.check_can_enter(&home.dir)?;
        cluster::remove_unfinished(&home).await;
        let version = cluster::version(&home)?;
        let dir = home.cluster();
        let cluster = version.map(|major| (dir.as_path(), major));
        let binaries = Binaries::find(settings.bin_dir.as_deref(), cluster).await?;
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
            stopping: CancellationToken::new(),
            state: Mutex::new(State { postmaster: postmaster.finish(), owner: Some(owner) }),
        })
    }

    /// Options for a connection to the database `windrow`, over the unix socket.
    pub fn connect_options(&self) -> PgConnectOptions {
        self.launch.options(cluster::NAME)
    }

    /// The data directory as an absolute path without links.
    pub fn data_dir(&self) -> &Path {
        &self.launch.home.dir
    }

    /// Stops Postgres and releases the data directory, within 20 seconds. Open transactions are rolled
    /// back. [`EmbeddedPostgres::supervise`] returns. A second call does nothing.
    pub async fn stop(&self) -> Result<(), Error> {
        self.stopping.cancel();
        let mut state = self.state.lock().await;
        let stopped = match state.postmaster.take() {
            Some(postmaster) => postmaster.stop().await,
            None => Ok(()),
        };
        // Release the lock last, or the next owner could meet this Postgres.
        state.owner = None;
        stopped
    }
}

/// Writes the settings if they changed. First stops a Postgres that runs with the old ones, because it
/// would be adopted as if it had read the new file.
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
