//! What can go wrong with the embedded Postgres, in words for the person who started the server.

use std::io;
use std::path::{Path, PathBuf};

/// Why the embedded Postgres could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or a directory could not be used.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The reason the system gave.
        source: io::Error,
    },
    /// No Postgres server is installed where we look.
    #[error(
        "found no Postgres binaries (initdb and postgres); looked in {searched}; \
         install them (Debian, Ubuntu: `apt-get install postgresql`), name their directory, \
         or set DATABASE_URL to use a running database"
    )]
    NoBinaries {
        /// The directories looked into.
        searched: String,
    },
    /// Another server holds the data directory.
    #[error(
        "the data directory {} is in use by another server (pid {pid}); stop it, or choose another directory", dir.display()
    )]
    Owned {
        dir: PathBuf,
        /// The process id of its owner, or "unknown".
        pid: String,
    },
    /// Started as root, and there is no account that Postgres could run as.
    #[error(
        "Postgres refuses to run as root, and /etc/passwd has neither a user `postgres` nor `nobody`"
    )]
    NoAccount,
    /// Postgres runs as another user than the server, and that user cannot get to the data.
    #[error(
        "the user `{user}`, which Postgres runs as, cannot enter the directory {}; choose a data \
         directory elsewhere (for instance under /var/lib or /var/tmp), or `chmod o+x` it", dir.display()
    )]
    NotEnterable {
        /// The first directory on the way that is closed.
        dir: PathBuf,
        /// The user that Postgres runs as.
        user: String,
    },
    /// The cluster belongs to a user that we can neither be nor become.
    #[error(
        "the database files in {} belong to uid {uid}, which this server cannot run Postgres as; \
         start the server as their owner", dir.display()
    )]
    ForeignCluster {
        /// The directory of the cluster.
        dir: PathBuf,
        uid: u32,
    },
    /// The data was written by another major version of Postgres.
    #[error(
        "the database files in {} were written by Postgres {cluster}, but the binaries found are of {found}; \
         install postgresql-{cluster}, or move the data with pg_upgrade or pg_dump", dir.display()
    )]
    Version {
        /// The directory of the cluster.
        dir: PathBuf,
        /// The major version of the data.
        cluster: u32,
        /// The versions of the binaries found.
        found: String,
    },
    /// The socket directory exists and somebody else could put a socket there.
    #[error(
        "the socket directory {} is not a directory that only Postgres' user (uid {uid}) can enter; remove it", dir.display()
    )]
    SocketDir {
        dir: PathBuf,
        /// The user it should belong to.
        uid: u32,
    },
    /// A Postgres program failed.
    #[error("{program} failed ({status}):\n{output}")]
    Program {
        program: String,
        status: String,
        /// The end of what it said.
        output: String,
    },
    /// Postgres was launched and did not become usable.
    #[error("Postgres {what}; the end of {} says:\n{tail}", log.display())]
    Start {
        /// What it did instead.
        what: &'static str,
        log: PathBuf,
        /// The last lines of that log.
        tail: String,
    },
    /// Postgres outlived every signal.
    #[error("Postgres (pid {pid}) did not stop")]
    Stop {
        /// The process that is still there.
        pid: i32,
    },
    /// Postgres runs and refused to create our database.
    #[error("cannot prepare the database `windrow`")]
    Database(#[from] sqlx::Error),
}

impl Error {
    /// For `map_err`: the error of doing `action` to `path`.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { action, path: path.to_path_buf(), source }
    }
}
