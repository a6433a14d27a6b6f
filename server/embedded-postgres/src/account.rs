//! The user that Postgres runs as. Postgres refuses to be root, so under root it gets another account.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

use rustix::process::geteuid;
use tokio::process::Command;

use crate::error::Error;

/// Accounts to use under root, in order of preference.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

/// The user that owns the cluster and runs Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Account {
    /// The user of the server.
    Own { uid: u32 },
    /// The server is root and Postgres drops to this account.
    Dropped {
        /// For error messages.
        name: String,
        uid: u32,
        gid: u32,
    },
}

impl Account {
    /// Chooses the account. An existing cluster keeps its owner, so that data of `nobody` stays
    /// accessible if a user `postgres` is created later.
    pub(crate) fn choose(cluster: &Path) -> Result<Self, Error> {
        let own = geteuid().as_raw();
        let owner = match fs::symlink_metadata(cluster) {
            Ok(metadata) => Some((metadata.uid(), metadata.gid())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::file("inspect", cluster)(error)),
        };
        match owner {
            Some((uid, _)) if own != 0 && uid == own => Ok(Self::Own { uid }),
            Some((uid, gid)) if own == 0 && uid != 0 => {
                Ok(Self::Dropped { name: name_of(uid), uid, gid })
            }
            Some((uid, _)) => Err(Error::ForeignCluster { dir: cluster.to_path_buf(), uid }),
            None if own == 0 => Self::dropped(),
            None => Ok(Self::Own { uid: own }),
        }
    }

    fn dropped() -> Result<Self, Error> {
        let accounts = passwd();
        ACCOUNTS
            .iter()
            .find_map(|account| accounts.iter().find(|(name, uid, _)| name == account && *uid != 0))
            .map(|(name, uid, gid)| Self::Dropped { name: name.clone(), uid: *uid, gid: *gid })
            .ok_or(Error::NoAccount)
    }

    pub(crate) fn uid(&self) -> u32 {
        match self {
            Self::Own { uid } | Self::Dropped { uid, .. } => *uid,
        }
    }

    /// Runs `command` as this account. The standard library also drops root's supplementary groups.
    pub(crate) fn apply<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        match self {
            Self::Own { .. } => command,
            Self::Dropped { uid, gid, .. } => command.uid(*uid).gid(*gid),
        }
    }

    /// Makes this account the owner of a file.
    pub(crate) fn give(&self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Own { .. } => Ok(()),
            Self::Dropped { uid, gid, .. } => lchown(path, Some(*uid), Some(*gid))
                .map_err(Error::file("change the owner of", path)),
        }
    }

    /// Checks that this account can enter `dir` and all its parents. Postgres itself would only report
    /// "permission denied" for the last one. `dir` must not contain links.
    pub(crate) fn check_can_enter(&self, dir: &Path) -> Result<(), Error> {
        let Self::Dropped { name, uid, gid } = self else { return Ok(()) };
        let mut path: Vec<&Path> = dir.ancestors().collect();
        path.reverse();
        for step in path {
            let metadata = fs::metadata(step).map_err(Error::file("inspect", step))?;
            let needed = if metadata.uid() == *uid {
                0o100
            } else if metadata.gid() == *gid {
                0o010
            } else {
                0o001
            };
            if metadata.mode() & needed == 0 {
                return Err(Error::NotEnterable { dir: step.to_path_buf(), user: name.clone() });
            }
        }
        Ok(())
    }
}

fn name_of(uid: u32) -> String {
    let known = passwd().into_iter().find(|(_, other, _)| *other == uid);
    known.map_or_else(|| format!("uid {uid}"), |(name, ..)| name)
}

/// Local accounts as name, uid and gid. System accounts are always in this file.
fn passwd() -> Vec<(String, u32, u32)> {
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    text.lines().filter_map(account_of).collect()
}

fn account_of(line: &str) -> Option<(String, u32, u32)> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    Some((name, uid, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_line_of_passwd_is_a_name_and_two_numbers() {
        let line = "postgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash";
        assert_eq!(account_of(line), Some(("postgres".to_owned(), 101, 104)));
        assert_eq!(account_of("# comment"), None);
    }

    #[test]
    fn the_error_names_the_directory_that_cannot_be_entered() {
        let outer = tempfile::tempdir_in("/var/tmp").unwrap();
        let inner = outer.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::set_permissions(outer.path(), Permissions::from_mode(0o700)).unwrap();
        let stranger = Account::Dropped { name: "stranger".to_owned(), uid: 59_999, gid: 59_999 };
        let refused = stranger.check_can_enter(&inner).unwrap_err();
        assert!(matches!(refused, Error::NotEnterable { dir, .. } if dir == outer.path()));
    }
}
