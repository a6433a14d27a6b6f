//! Finds a Postgres that an earlier server left running, through `postmaster.pid`.
//!
//! The file survives a crash, and its pid may have been reused by any process. Postgres itself only
//! checks whether the pid exists, and then refuses to start.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::home::Home;

/// The file has a few lines, but belongs to the user of Postgres and is not trusted.
const PID_FILE_LIMIT: u64 = 4096;

/// The process behind a pid in `postmaster.pid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A Postgres launched by an earlier server.
    Ours,
    /// A process unrelated to the cluster: the pid was reused.
    Alien,
    /// A process that uses the cluster or cannot be inspected. The decision is left to Postgres.
    Unclear,
    Gone,
}

/// The pid of a Postgres that an earlier server left running. Removes a pid file that names an
/// unrelated process; Postgres still detects a cluster in use by its shared memory.
pub(crate) fn find(home: &Home, account: &Account) -> Option<i32> {
    let path = pid_file(home);
    let pid = pid_in(&path)?;
    match identify(pid, home, account) {
        Found::Ours => Some(pid),
        Found::Alien => {
            tracing::info!(
                embedded.pid = pid,
                "Removing stale postmaster.pid: process {pid} is not Postgres"
            );
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(%error, "Failed to remove stale postmaster.pid");
            }
            None
        }
        Found::Unclear | Found::Gone => None,
    }
}

/// Identifies a Postgres launched by a server, by its user and its arguments.
pub(crate) fn identify(pid: i32, home: &Home, account: &Account) -> Found {
    let root = PathBuf::from(format!("/proc/{pid}"));
    let read = fs::metadata(&root)
        .and_then(|metadata| fs::read(root.join("cmdline")).map(|line| (metadata.uid(), line)));
    let (uid, line) = match read {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Gone,
        Err(_) => return Found::Unclear,
    };
    if uid == account.uid() && is_launched_by_us(&line, home) {
        return Found::Ours;
    }
    // A zombie has no arguments, and remains if its parent never reaps it.
    if line.is_empty() {
        return Found::Alien;
    }
    match fs::read_link(root.join("cwd")) {
        Ok(dir) if dir != home.cluster() => Found::Alien,
        Ok(_) | Err(_) => Found::Unclear,
    }
}

/// The arguments of every launch: the cluster and the settings file.
pub(crate) fn arguments(home: &Home) -> [std::ffi::OsString; 4] {
    let mut settings = std::ffi::OsString::from("config_file=");
    settings.push(home.settings());
    ["-D".into(), home.cluster().into(), "-c".into(), settings]
}

fn is_launched_by_us(line: &[u8], home: &Home) -> bool {
    let mut given = line.split(|byte| *byte == 0);
    let program = given.next().unwrap_or_default();
    program.ends_with(b"/postgres")
        && arguments(home).iter().all(|expected| given.next() == Some(expected.as_bytes()))
}

fn pid_file(home: &Home) -> PathBuf {
    home.cluster().join("postmaster.pid")
}

fn pid_in(path: &Path) -> Option<i32> {
    let mut text = String::new();
    File::open(path).ok()?.take(PID_FILE_LIMIT).read_to_string(&mut text).ok()?;
    text.lines().next()?.trim().parse().ok().filter(|pid| *pid > 0)
}
