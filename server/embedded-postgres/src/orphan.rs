//! Looks at `postmaster.pid`: is a Postgres of an earlier server still running on our cluster?
//!
//! The file outlives a crash and its number may by now be any process. Postgres itself only asks
//! whether that number is alive, and then refuses to start.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::home::Home;

/// A few lines; the file belongs to Postgres' user and not to us.
const PID_FILE_LIMIT: u64 = 4096;

/// What the process of a number in `postmaster.pid` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Our Postgres, launched by a server that is gone.
    Ours,
    /// Anything that has nothing to do with the cluster: the number was given out again.
    Alien,
    /// Something that works on the cluster, or that we may not look at. Postgres decides.
    Unclear,
    Gone,
}

/// The process id of our Postgres, if an earlier server left one running. A pid file that names an
/// alien process is removed; Postgres still detects a cluster in use by its shared memory.
pub(crate) fn find(home: &Home, account: &Account) -> Option<i32> {
    let path = pid_file(home);
    let pid = pid_in(&path)?;
    match identify(pid, home, account) {
        Found::Ours => Some(pid),
        Found::Alien => {
            tracing::info!(
                embedded.pid = pid,
                "Removing a stale postmaster.pid, whose number another process has now"
            );
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(%error, "Could not remove the stale postmaster.pid");
            }
            None
        }
        Found::Unclear | Found::Gone => None,
    }
}

/// Tells whether process `pid` is the Postgres that we launch, by its user and its arguments.
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
    // A zombie has no arguments any more. Where nobody reaps, it stays for ever.
    if line.is_empty() {
        return Found::Alien;
    }
    match fs::read_link(root.join("cwd")) {
        Ok(dir) if dir != home.cluster() => Found::Alien,
        Ok(_) | Err(_) => Found::Unclear,
    }
}

/// The arguments every launch gives: the cluster and our settings file.
pub(crate) fn arguments(home: &Home) -> [std::ffi::OsString; 4] {
    let mut settings = std::ffi::OsString::from("config_file=");
    settings.push(home.settings());
    ["-D".into(), home.cluster().into(), "-c".into(), settings]
}

fn is_launched_by_us(line: &[u8], home: &Home) -> bool {
    let mut given = line.split(|byte| *byte == 0);
    let program = given.next().unwrap_or_default();
    program.ends_with(b"/postgres")
        && arguments(home).iter().all(|wanted| given.next() == Some(wanted.as_bytes()))
}

fn pid_file(home: &Home) -> PathBuf {
    home.cluster().join("postmaster.pid")
}

fn pid_in(path: &Path) -> Option<i32> {
    let mut text = String::new();
    File::open(path).ok()?.take(PID_FILE_LIMIT).read_to_string(&mut text).ok()?;
    text.lines().next()?.trim().parse().ok().filter(|pid| *pid > 0)
}
