//! The cluster on disk: how it is made, which version it is, and which settings it runs with.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::Durability;
use super::account::Account;
use super::binaries::Binaries;
use super::error::EmbeddedError;
use super::home::Home;
use super::log;

/// The superuser and the database; the socket directory's mode is the only lock.
pub(super) const NAME: &str = "windrow";
/// How the directory of a cluster in the making begins.
const UNFINISHED: &str = "initdb-";

/// The major version of the cluster, or `None` before the first start.
pub(super) fn version(home: &Home) -> Result<Option<u32>, EmbeddedError> {
    let cluster = home.cluster();
    if !cluster.exists() {
        return Ok(None);
    }
    // The cluster appears whole or not at all, so a missing version is damage and not a beginning.
    let path = cluster.join("PG_VERSION");
    let text = fs::read_to_string(&path).map_err(EmbeddedError::file("read", &path))?;
    let major = text.trim().parse().map_err(io::Error::other);
    Ok(Some(major.map_err(EmbeddedError::file("read a version from", &path))?))
}

/// Makes the cluster in a directory beside its place and renames it when it is whole, so that a
/// server killed in the middle leaves no half cluster.
pub(super) async fn create(
    home: &Home,
    account: &Account,
    binaries: &Binaries,
    durability: Durability,
) -> Result<(), EmbeddedError> {
    let making = make_unfinished(home)?;
    account.give(&making)?;
    run_initdb(&making, account, binaries, durability).await?;
    let cluster = home.cluster();
    fs::rename(&making, &cluster).map_err(EmbeddedError::file("create", &cluster))?;
    sync(&home.dir, durability)
}

/// Removes what killed servers left of their first start. Best effort: an initdb that outlived its
/// server may still be writing there, and then the next start finds the rest.
pub(super) async fn remove_unfinished(home: &Home) {
    let Ok(entries) = fs::read_dir(&home.dir) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED)
            && let Err(error) = tokio::fs::remove_dir_all(entry.path()).await
        {
            tracing::warn!(
                embedded.dir = %entry.path().display(), %error,
                "Could not remove an unfinished database cluster"
            );
        }
    }
}

/// The name is by chance: an initdb that outlived its server still writes to the old name, and may
/// clean up there.
fn make_unfinished(home: &Home) -> Result<PathBuf, EmbeddedError> {
    let chance = RandomState::new().hash_one(());
    let making = home.dir.join(format!("{UNFINISHED}{chance:016x}"));
    DirBuilder::new()
        .mode(0o700)
        .create(&making)
        .map_err(EmbeddedError::file("create", &making))?;
    Ok(making)
}

async fn run_initdb(
    making: &Path,
    account: &Account,
    binaries: &Binaries,
    durability: Durability,
) -> Result<(), EmbeddedError> {
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
    // Nobody waits for an initdb whose start was given up.
    command.kill_on_drop(true);
    let output = command.output().await.map_err(EmbeddedError::file("run", &program))?;
    if output.status.success() {
        return Ok(());
    }
    Err(EmbeddedError::Program {
        program: program.display().to_string(),
        status: output.status.to_string(),
        output: log::last_lines(&String::from_utf8_lossy(&output.stderr)),
    })
}

/// A Postgres program as its account, in an environment without our `PG…` variables, and in a
/// process group of its own: Ctrl-C in the terminal must reach the server alone, which drains
/// before Postgres stops.
pub(super) fn program_command(program: &Path, account: &Account) -> Command {
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

/// The settings as a file. They stand after the cluster's own `postgresql.conf`, so they win;
/// `alter system` wins over both.
pub(super) fn settings(home: &Home, durability: Durability) -> String {
    let switch = match durability {
        Durability::Durable => "on",
        Durability::Throwaway => "off",
    };
    format!(
        "# Written by windrow at each start. Tune with `alter system`.\n\
         include 'postgres/postgresql.conf'\n\
         listen_addresses = ''\n\
         port = 5432\n\
         unix_socket_directories = '{}'\n\
         unix_socket_permissions = 0700\n\
         max_connections = 100\n\
         shared_buffers = 128MB\n\
         timezone = 'UTC'\n\
         log_timezone = 'UTC'\n\
         log_destination = 'stderr'\n\
         logging_collector = off\n\
         cluster_name = '{NAME}'\n\
         fsync = {switch}\n\
         synchronous_commit = {switch}\n\
         full_page_writes = {switch}\n",
        home.socket_dir().display()
    )
}

/// Replaces the settings file as a whole.
pub(super) fn write_settings(
    home: &Home,
    text: &str,
    durability: Durability,
) -> Result<(), EmbeddedError> {
    let path = home.settings();
    let new = path.with_extension("conf.new");
    write_new(&new, text, durability).map_err(EmbeddedError::file("write", &new))?;
    fs::rename(&new, &path).map_err(EmbeddedError::file("write", &path))?;
    sync(&home.dir, durability)
}

fn write_new(path: &Path, text: &str, durability: Durability) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // Postgres' user reads it, whatever the umask.
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(text.as_bytes())?;
    match durability {
        Durability::Durable => file.sync_all(),
        Durability::Throwaway => Ok(()),
    }
}

/// Makes a rename in `dir` outlive a power cut.
fn sync(dir: &Path, durability: Durability) -> Result<(), EmbeddedError> {
    match durability {
        Durability::Throwaway => Ok(()),
        Durability::Durable => File::open(dir)
            .and_then(|file| file.sync_all())
            .map_err(EmbeddedError::file("sync", dir)),
    }
}
