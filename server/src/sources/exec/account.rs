//! The account of a program.

use std::path::PathBuf;

use nix::unistd::User;
use rustix::process::geteuid;

use crate::guard;

/// The account that the settings name.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) ids: guard::Account,
    pub(super) name: String,
    pub(super) home: PathBuf,
}

impl Account {
    pub(super) fn find(name: &str) -> Result<Self, String> {
        let own = geteuid();
        if !own.is_root() {
            let uid = own.as_raw();
            return Err(format!(
                "user {name:?} needs a server that root runs; this one has the uid {uid}"
            ));
        }
        let found = User::from_name(name)
            .map_err(|error| format!("failed to look up user {name:?}: {error}"))?
            .ok_or_else(|| format!("user {name:?} does not exist on this machine"))?;
        if found.uid.is_root() {
            return Err(
                "user must not be root; remove it to run the program as the server".to_owned()
            );
        }
        let ids = guard::Account { uid: found.uid.as_raw(), gid: found.gid.as_raw() };
        Ok(Self { ids, name: found.name, home: found.dir })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_may_name_an_existing_user_other_than_root() {
        let refused = |name: &str| Account::find(name).unwrap_err();
        if geteuid().is_root() {
            assert!(refused("no-such-user").contains("\"no-such-user\" does not exist"));
            assert!(refused("root").contains("must not be root"));
            let nobody = Account::find("nobody").unwrap();
            assert!(nobody.ids.uid != 0 && nobody.ids.gid != 0, "{nobody:?}");
        } else {
            assert!(refused("nobody").contains("needs a server that root runs"));
        }
    }
}
