//! The data directory: its lock, its files and the directory of the socket.
//!
//! ```text
//! <data_dir>/             0711 under root, else 0700
//!   owner.lock            locked while a server owns the directory; contains its pid
//!   windrow.conf          settings; includes the cluster's own postgresql.conf
//!   postgres.log          output of Postgres, up to 10 MiB
//!   postgres.log.1        output before that
//!   postgres/             the cluster (0700, user of Postgres)
//!   initdb-*              an unfinished cluster
//!   run/                  the socket (0700, user of Postgres), if its path is short enough
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;

use crate::access;
use crate::account::Account;
use crate::error::Error;

/// Size of `sun_path` on Linux, without the terminating zero.
const SOCKET_PATH_LIMIT: usize = 107;
/// The socket and the prefix of the lock file that Postgres creates next to it.
const SOCKET_NAME: &str = "/.s.PGSQL.5432";
/// A pid has up to seven digits; the file is not trusted.
const PID_LIMIT: u64 = 16;

/// The paths of one embedded Postgres.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    /// The data directory, absolute and without links.
    pub(crate) dir: PathBuf,
}

impl Home {
    /// Creates the directory if it is missing. Sets the mode of new directories only, and refuses one that every
    /// user can change.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        let absolute = std::path::absolute(dir).map_err(Error::file("locate", dir))?;
        make_all(&absolute).map_err(Error::file("create", &absolute))?;
        let dir = fs::canonicalize(&absolute).map_err(Error::file("locate", &absolute))?;
        access::check(&dir)?;
        Ok(Self { dir })
    }

    pub(crate) fn cluster(&self) -> PathBuf {
        self.dir.join("postgres")
    }

    pub(crate) fn settings(&self) -> PathBuf {
        self.dir.join("windrow.conf")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    /// Locks the directory; the error names the current owner. The lock ends with the returned value
    /// or with the process, even after a kill -9; Postgres does not inherit it.
    pub(crate) fn lock(&self) -> Result<OwnerLock, Error> {
        let path = self.dir.join("owner.lock");
        let mut file = no_follow(OpenOptions::new().read(true).write(true).create(true))
            .mode(0o600)
            .open(&path)
            .map_err(Error::file("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Owned { dir: self.dir.clone(), pid: pid_in(&file) });
            }
            Err(TryLockError::Error(error)) => {
                return Err(Error::file("lock", &path)(error));
            }
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(Error::file("write", &path))?;
        Ok(OwnerLock { file })
    }

    /// The directory of the socket: `run` inside the data directory, or a directory named by a hash if
    /// that path is too long or needs quoting. It depends only on the data directory, so that the
    /// next server finds the socket of an adopted Postgres.
    pub(crate) fn socket_dir(&self) -> PathBuf {
        let inside = self.dir.join("run");
        let plain = |text: &str| {
            text.len() + SOCKET_NAME.len() <= SOCKET_PATH_LIMIT
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
        };
        if inside.to_str().is_some_and(plain) {
            return inside;
        }
        // Prefer /run under root, because other users cannot write there.
        let uid = geteuid().as_raw();
        let root = if uid == 0 && Path::new("/run").is_dir() { "/run" } else { "/tmp" };
        let hash = fnv(self.dir.as_os_str().as_encoded_bytes());
        Path::new(root).join(format!("windrow-{uid}-{hash:016x}"))
    }

    /// Creates the socket directory. An existing one must be restricted to the user of Postgres: in /tmp
    /// any user could have created it to impersonate Postgres.
    pub(crate) fn make_socket_dir(&self, account: &Account) -> Result<(), Error> {
        let dir = self.socket_dir();
        match DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::file("create", &dir)(error)),
        }
        let found = fs::symlink_metadata(&dir).map_err(Error::file("inspect", &dir))?;
        let ours = found.uid() == account.uid() || found.uid() == geteuid().as_raw();
        if !found.is_dir() || !ours || found.mode() & 0o077 != 0 {
            return Err(Error::SocketDir { dir, uid: account.uid() });
        }
        account.give(&dir)
    }
}

/// The ownership of a data directory.
#[derive(Debug)]
pub(crate) struct OwnerLock {
    file: File,
}

impl Drop for OwnerLock {
    /// Unlocks explicitly, because closing is not enough: a child process that another thread is
    /// launching has a copy of the file until `exec`, and would keep the lock.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "Failed to unlock the data directory");
        }
    }
}

/// Refuses symbolic links: under root, a data directory that belongs to another user could otherwise
/// redirect writes to any file.
pub(crate) fn no_follow(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
}

fn make_all(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_all(parent)?;
    }
    fs::create_dir(dir)?;
    // Regardless of the umask, the user of Postgres must be able to pass under root.
    let mode = if geteuid().is_root() { 0o711 } else { 0o700 };
    fs::set_permissions(dir, Permissions::from_mode(mode))
}

fn pid_in(file: &File) -> String {
    let mut text = String::new();
    match file.take(PID_LIMIT).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        Ok(_) | Err(_) => "unknown".to_owned(),
    }
}

/// FNV-1a, which is stable across machines and releases, unlike the standard hasher.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_or_odd_path_gets_a_short_socket_directory() {
        let check = |dir: &str, inside: bool| {
            let home = Home { dir: PathBuf::from(dir) };
            let socket_dir = home.socket_dir();
            assert_eq!(socket_dir.starts_with(dir), inside, "{dir}");
            assert!(socket_dir.as_os_str().len() + SOCKET_NAME.len() <= SOCKET_PATH_LIMIT, "{dir}");
        };
        check("/var/lib/windrow", true);
        check("/var/lib/it's, odd", false);
        check(&format!("/var/{}", "l".repeat(84)), true);
        check(&format!("/var/{}", "l".repeat(85)), false);
    }

    #[test]
    fn a_socket_directory_open_to_others_is_refused() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let home = Home { dir: dir.path().to_path_buf() };
        fs::create_dir(home.socket_dir()).unwrap();
        fs::set_permissions(home.socket_dir(), Permissions::from_mode(0o755)).unwrap();
        let account = Account::Own { uid: geteuid().as_raw() };
        let refused = home.make_socket_dir(&account).unwrap_err();
        assert!(matches!(refused, Error::SocketDir { .. }));
    }
}
