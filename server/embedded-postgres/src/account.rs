//! Whom Postgres runs as: it refuses to be root, so under root it gets an account of its own.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

use rustix::process::geteuid;
use tokio::process::Command;

use crate::error::Error;

/// The accounts taken under root, in this order.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

/// The user that owns the cluster and runs Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Account {
    /// The server's own user.
    Own {
        /// The effective user id.
        uid: u32,
    },
    /// The server is root and Postgres drops to this account.
    Dropped {
        /// Its name, for error texts.
        name: String,
        uid: u32,
        gid: u32,
    },
}

impl Account {
    /// Chooses the account. The owner of an existing cluster stays its owner: an account `postgres`
    /// that was installed later must not lock out the data made by `nobody`.
    pub(crate) fn choose(cluster: &Path) -> Result<Self, Error> {
        let own = geteuid().as_raw();
        let owner = match fs::symlink_metadata(cluster) {
            Ok(metadata) => Some((metadata.uid(), metadata.gid())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::file("look at", cluster)(error)),
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
            .find_map(|wanted| accounts.iter().find(|(name, uid, _)| name == wanted && *uid != 0))
            .map(|(name, uid, gid)| Self::Dropped { name: name.clone(), uid: *uid, gid: *gid })
            .ok_or(Error::NoAccount)
    }

    /// The user id that Postgres runs with.
    pub(crate) fn uid(&self) -> u32 {
        match self {
            Self::Own { uid } | Self::Dropped { uid, .. } => *uid,
        }
    }

    /// Makes `command` run as this account. The standard library also drops root's other groups.
    pub(crate) fn apply<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        match self {
            Self::Own { .. } => command,
            Self::Dropped { uid, gid, .. } => command.uid(*uid).gid(*gid),
        }
    }

    /// Hands a file that we made to this account.
    pub(crate) fn give(&self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Own { .. } => Ok(()),
            Self::Dropped { uid, gid, .. } => lchown(path, Some(*uid), Some(*gid))
                .map_err(Error::file("change the owner of", path)),
        }
    }

    /// Checks that this account can get into `dir`: Postgres itself would only say "permission
    /// denied" of the last of the directories. `dir` has no links in it.
    pub(crate) fn check_can_enter(&self, dir: &Path) -> Result<(), Error> {
        let Self::Dropped { name, uid, gid } = self else { return Ok(()) };
        let mut way: Vec<&Path> = dir.ancestors().collect();
        way.reverse();
        for step in way {
            let metadata = fs::metadata(step).map_err(Error::file("look at", step))?;
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

/// The machine's own accounts as name, uid, gid. System accounts are always in this file.
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
    fn an_account_is_told_which_directory_is_closed() {
        let outer = tempfile::tempdir_in("/var/tmp").unwrap();
        let inner = outer.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::set_permissions(outer.path(), Permissions::from_mode(0o700)).unwrap();
        let stranger = Account::Dropped { name: "stranger".to_owned(), uid: 59_999, gid: 59_999 };
        let refused = stranger.check_can_enter(&inner).unwrap_err();
        assert!(matches!(refused, Error::NotEnterable { dir, .. } if dir == outer.path()));
    }
}
