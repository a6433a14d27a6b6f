//! The cluster on disk: its creation, version and settings.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

use crate::Durability;
use crate::account::Account;
use crate::binaries::Binaries;
use crate::error::Error;
use crate::home::Home;
use crate::log;

/// Name of the superuser and the database. Access is protected by the mode of the socket directory.
pub(crate) const NAME: &str = "windrow";
/// A part of initdb's message about a user without a name. It is not translated: programs run in the C locale.
const UNKNOWN_USER: &str = "could not look up effective user ID";
/// Prefix of the directory of an unfinished cluster.
const UNFINISHED: &str = "initdb-";

/// The major version of the cluster, or `None` before the first start.
pub(crate) fn version(home: &Home) -> Result<Option<u32>, Error> {
    let cluster = home.cluster();
    if !cluster.exists() {
        return Ok(None);
    }
    // The cluster is created atomically, so a missing version is corruption.
    let path = cluster.join("PG_VERSION");
    let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    let major = text.trim().parse().map_err(io::Error::other);
    Ok(Some(major.map_err(Error::file("read a version from", &path))?))
}

/// Creates the cluster in a directory next to its final place and renames it once it is complete, so
/// that a server killed in the middle leaves no half cluster.
pub(crate) async fn create(
    home: &Home,
    account: &Account,
    binaries: &Binaries,
    durability: Durability,
) -> Result<(), Error> {
    let mut unfinished = make_unfinished(home)?;
    account.give(unfinished.path())?;
    run_initdb(unfinished.path(), account, binaries, durability).await?;
    let cluster = home.cluster();
    fs::rename(unfinished.path(), &cluster).map_err(Error::file("create", &cluster))?;
    // It is not at the temporary path any more.
    unfinished.disable_cleanup(true);
    sync(&home.dir, durability)
}

/// Removes unfinished clusters of servers that were killed during their first start. Best effort: an
/// initdb that outlived its server may still be writing; the next start removes the rest.
pub(crate) async fn remove_unfinished(home: &Home) {
    let Ok(entries) = fs::read_dir(&home.dir) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED)
            && let Err(error) = tokio::fs::remove_dir_all(entry.path()).await
        {
            tracing::warn!(
                embedded.dir = %entry.path().display(), %error,
                "Failed to remove an unfinished database cluster"
            );
        }
    }
}

/// The name is random: an initdb that outlived its server still writes to the old name, and may
/// clean up there.
fn make_unfinished(home: &Home) -> Result<TempDir, Error> {
    tempfile::Builder::new()
        .prefix(UNFINISHED)
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(&home.dir)
        .map_err(Error::file("create a directory in", &home.dir))
}

async fn run_initdb(
    making: &Path,
    account: &Account,
    binaries: &Binaries,
    durability: Durability,
) -> Result<(), Error> {
    let program = binaries.program("initdb");
    let mut command = program_command(&program, account);
    command.arg("-D").arg(making).args([
        "--username",
        NAME,
        "--auth-local=trust",
        "--auth-host=reject",
        "--locale=C.UTF-8",
        "--encoding=UTF8",
        "--no-instructions",
    ]);
    command.arg(match durability {
        Durability::Durable => "--data-checksums",
        Durability::Throwaway => "--no-sync",
    });
    // A cancelled start must not leave initdb running.
    command.kill_on_drop(true);
    let output = command.output().await.map_err(Error::file("run", &program))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    if stderr.contains(UNKNOWN_USER) {
        return Err(Error::NoName { uid: account.uid() });
    }
    Err(Error::Program {
        program: program.display().to_string(),
        status: output.status.to_string(),
        output: log::last_lines(&stderr),
    })
}

/// A Postgres program under its account, without `PG…` variables, and in its own process group: Ctrl-C
/// in a terminal must only reach the server, which drains before Postgres stops.
pub(crate) fn program_command(program: &Path, account: &Account) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("LC_ALL", "C.UTF-8")
        .current_dir("/")
        .stdin(Stdio::null())
        .process_group(0);
    account.apply(&mut command);
    command
}

/// The settings file. It overrides the cluster's own `postgresql.conf`, which it includes; `alter
/// system` overrides both.
pub(crate) fn settings(home: &Home, durability: Durability) -> String {
    let switch = match durability {
        Durability::Durable => "on",
        Durability::Throwaway => "off",
    };
    format!(
        "# Written by windrow-server at each start. Use `alter system` to change settings.\n\
         include 'postgres/postgresql.conf'\n\
         listen_addresses = ''\n\
         port = 5432\n\
         unix_socket_directories = '{}'\n\
         unix_socket_permissions = 0700\n\
         max_connections = 100\n\
         # JIT compilation takes longer than the statements of the server.\n\
         jit = off\n\
         shared_buffers = 256MB\n\
         # Larger write-ahead log, fewer checkpoints: after each of them every page is logged in full.\n\
         wal_buffers = 16MB\n\
         max_wal_size = 2GB\n\
         checkpoint_timeout = 15min\n\
         # The rows of the queue live for seconds.\n\
         autovacuum_naptime = 10s\n\
         timezone = 'UTC'\n\
         log_timezone = 'UTC'\n\
         log_destination = 'stderr'\n\
         logging_collector = off\n\
         # The server logs the errors of its statements, which may be as long as a request.\n\
         log_min_error_statement = panic\n\
         cluster_name = '{NAME}'\n\
         fsync = {switch}\n\
         synchronous_commit = {switch}\n\
         full_page_writes = {switch}\n",
        home.socket_dir().display()
    )
}

/// Replaces the settings file atomically.
pub(crate) fn write_settings(home: &Home, text: &str, durability: Durability) -> Result<(), Error> {
    let path = home.settings();
    let new = path.with_extension("conf.new");
    write_new(&new, text, durability).map_err(Error::file("write", &new))?;
    fs::rename(&new, &path).map_err(Error::file("write", &path))?;
    sync(&home.dir, durability)
}

fn write_new(path: &Path, text: &str, durability: Durability) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // The user of Postgres must be able to read it, regardless of the umask.
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(text.as_bytes())?;
    match durability {
        Durability::Durable => file.sync_all(),
        Durability::Throwaway => Ok(()),
    }
}

/// Makes a rename in `dir` survive a power failure.
fn sync(dir: &Path, durability: Durability) -> Result<(), Error> {
    match durability {
        Durability::Throwaway => Ok(()),
        Durability::Durable => {
            File::open(dir).and_then(|file| file.sync_all()).map_err(Error::file("sync", dir))
        }
    }
}
