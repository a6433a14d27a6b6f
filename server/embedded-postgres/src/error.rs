//! Errors of the embedded Postgres, for the person who starts the server.

use std::io;
use std::path::{Path, PathBuf};

/// An embedded Postgres that failed to start or stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or a directory is not usable.
    #[error("failed to {action} {}", path.display())]
    File {
        /// The attempted action, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The reason from the operating system.
        source: io::Error,
    },
    /// Postgres is not installed, or not in a known place.
    #[error(
        "no Postgres binaries (initdb and postgres) found in {searched}; \
         install them (Debian, Ubuntu: `apt-get install postgresql`), set their directory with \
         --postgres-bin-dir, or set DATABASE_URL to use a running database"
    )]
    NoBinaries {
        /// The searched directories.
        searched: String,
    },
    /// Another server owns the data directory.
    #[error(
        "data directory {} is in use by another server (pid {pid}); \
         stop that server or choose another directory", dir.display()
    )]
    Owned {
        /// The data directory.
        dir: PathBuf,
        /// The process id of the owner, or "unknown".
        pid: String,
    },
    /// Every user can write to the data directory, or replace it.
    #[error(
        "every user of this machine can write to directory {}, and so replace the database; run \
         `chmod o-w {}`, or choose another data directory", dir.display(), dir.display()
    )]
    Writable {
        /// The data directory, or a directory above it.
        dir: PathBuf,
    },
    /// The server runs as root, and there is no account that Postgres could run as.
    #[error(
        "Postgres refuses to run as root, and /etc/passwd contains neither `postgres` nor `nobody`; \
         create one of these users, or start the server as another user"
    )]
    NoAccount,
    /// The user that Postgres would run as has no name.
    #[error(
        "Postgres needs a name for the user that it runs as, and uid {uid} has none; add a line for it to \
         /etc/passwd, start the server as a user that has a name, or set DATABASE_URL to use a running \
         database"
    )]
    NoName {
        /// The user.
        uid: u32,
    },
    /// The user that Postgres runs as cannot reach the data directory.
    #[error(
        "user `{user}`, which Postgres runs as, cannot enter directory {}; choose a data directory \
         elsewhere (for example under /var/lib or /var/tmp), or run `chmod o+x` on it", dir.display()
    )]
    NotEnterable {
        /// The first directory of the path that the user cannot enter.
        dir: PathBuf,
        /// The user that Postgres runs as.
        user: String,
    },
    /// The cluster belongs to a user that Postgres cannot be run as.
    #[error(
        "database files in {} belong to uid {uid}, and this server cannot run Postgres as that user; \
         start the server as their owner", dir.display()
    )]
    ForeignCluster {
        /// The directory of the cluster.
        dir: PathBuf,
        /// The owner of the cluster.
        uid: u32,
    },
    /// Another major version of Postgres wrote the data.
    #[error(
        "database files in {} were written by Postgres {cluster}, but only {found} is installed; \
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
    /// Another user could place a socket into the socket directory.
    #[error(
        "socket directory {} is not restricted to the user of Postgres (uid {uid}); \
         delete it and start again", dir.display()
    )]
    SocketDir {
        /// The socket directory.
        dir: PathBuf,
        /// The user that has to own it.
        uid: u32,
    },
    /// A Postgres program failed.
    #[error("{program} failed ({status}):\n{output}")]
    Program {
        /// The path of the program.
        program: String,
        /// Its exit status.
        status: String,
        /// The last lines of its output.
        output: String,
    },
    /// Postgres was launched, but did not become usable.
    #[error("Postgres {failure}; last lines of {}:\n{tail}", log.display())]
    Start {
        /// The failure, as a predicate.
        failure: &'static str,
        /// The log file of Postgres.
        log: PathBuf,
        /// The last lines of that log.
        tail: String,
    },
    /// Postgres did not react to any signal.
    #[error("Postgres (pid {pid}) did not stop; end this process before you start again")]
    Stop {
        /// The process id of Postgres.
        pid: i32,
    },
    /// Postgres refused to create the database.
    #[error("failed to create the database `windrow`")]
    Database(#[from] sqlx::Error),
}

impl Error {
    /// For `map_err`: a failure of `action` on `path`.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { action, path: path.to_path_buf(), source }
    }
}
