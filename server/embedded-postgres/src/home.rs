//! The data directory: its lock, its files and the directory of the socket.
//!
//! ```text
//! <data_dir>/             ours: 0711 under root, else 0700
//!   owner.lock            locked as long as a server owns the directory; holds its pid
//!   windrow.conf          our settings; includes the cluster's own postgresql.conf
//!   postgres.log          what Postgres says
//!   postgres/             the cluster (0700, Postgres' user)
//!   initdb-*              a cluster in the making, or the rest of one
//!   run/                  the socket (0700, Postgres' user), if its path is short enough
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;

use crate::account::Account;
use crate::error::Error;

/// What `sun_path` can hold on Linux, less the closing zero.
const SOCKET_PATH_LIMIT: usize = 107;
/// The name of the socket, and of the lock that Postgres puts beside it.
const SOCKET_NAME: &str = "/.s.PGSQL.5432";
/// A pid has at most seven digits; the file is not ours to trust.
const PID_LIMIT: u64 = 16;

/// The places of one embedded Postgres.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    /// The data directory, absolute and without links.
    pub(crate) dir: PathBuf,
}

impl Home {
    /// Makes the directory if need be. Only directories made here get a mode.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        let absolute = std::path::absolute(dir).map_err(Error::file("find", dir))?;
        make_all(&absolute).map_err(Error::file("create", &absolute))?;
        let dir = fs::canonicalize(&absolute).map_err(Error::file("find", &absolute))?;
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

    /// Becomes the only owner of the directory, or says who is. The lock ends with the returned
    /// value or with the process, however that dies; Postgres does not inherit it.
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

    /// The directory of the socket: `run` inside, or one named by a hash where that path would be
    /// too long or would need quoting. It depends on the data directory only, so that the next
    /// server finds the socket of a Postgres that outlived this one.
    pub(crate) fn socket_dir(&self) -> PathBuf {
        let inside = self.dir.join("run");
        let plain = |text: &str| {
            text.len() + SOCKET_NAME.len() <= SOCKET_PATH_LIMIT
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
        };
        if inside.to_str().is_some_and(plain) {
            return inside;
        }
        // Nobody else can put anything into /run, where there is one for us.
        let uid = geteuid().as_raw();
        let root = if uid == 0 && Path::new("/run").is_dir() { "/run" } else { "/tmp" };
        let hash = fnv(self.dir.as_os_str().as_encoded_bytes());
        Path::new(root).join(format!("windrow-{uid}-{hash:016x}"))
    }

    /// Makes the socket directory. One that is there already must be Postgres' alone: in /tmp
    /// anybody could have made it, to answer our connections in Postgres' place.
    pub(crate) fn make_socket_dir(&self, account: &Account) -> Result<(), Error> {
        let dir = self.socket_dir();
        match DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::file("create", &dir)(error)),
        }
        let found = fs::symlink_metadata(&dir).map_err(Error::file("look at", &dir))?;
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
    /// Closing alone is not enough: a program that another thread is just launching has a copy of
    /// the file until it begins, and the lock would last as long as the last copy.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "Could not unlock the data directory");
        }
    }
}

/// Refuses a link in the place of the file: under root, a data directory of another user could
/// otherwise make us write anywhere.
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
    // The umask may be strict, but under root Postgres' user has to get through.
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

/// FNV-1a: the same on every machine and release, which the standard hasher does not promise.
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
