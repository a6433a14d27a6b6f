//! Directories that every user can change: who can replace files of the data directory owns the database.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::Error;

const WRITABLE_BY_ALL: u32 = 0o002;
const WRITABLE_BY_GROUP: u32 = 0o020;
/// Only the owner of a file can replace it in such a directory.
const STICKY: u32 = 0o1000;

/// Refuses a data directory that every user can write to, or that every user can replace. A group may be one of the
/// server alone, for example on a volume of Kubernetes, so its right is only warned of.
pub(crate) fn check(data_dir: &Path) -> Result<(), Error> {
    let mode = mode(data_dir)?;
    if mode & WRITABLE_BY_ALL != 0 {
        return Err(Error::Writable { dir: data_dir.to_owned() });
    }
    if mode & WRITABLE_BY_GROUP != 0 {
        let dir = data_dir.display();
        tracing::warn!("The group of data directory {dir} can replace the database in it");
    }
    for parent in data_dir.ancestors().skip(1) {
        let mode = self::mode(parent)?;
        if mode & WRITABLE_BY_ALL != 0 && mode & STICKY == 0 {
            return Err(Error::Writable { dir: parent.to_owned() });
        }
    }
    Ok(())
}

fn mode(dir: &Path) -> Result<u32, Error> {
    Ok(fs::metadata(dir).map_err(Error::file("inspect", dir))?.mode())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_that_every_user_can_change_is_refused() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("data");
        fs::create_dir(&inner).unwrap();
        let set =
            |dir: &Path, mode| fs::set_permissions(dir, Permissions::from_mode(mode)).unwrap();
        for (above, mode, refused) in [
            (0o755, 0o700, None),
            (0o775, 0o2775, None),
            (0o1777, 0o711, None),
            (0o777, 0o700, Some(outer.path())),
            (0o755, 0o702, Some(&*inner)),
            (0o755, 0o1777, Some(&*inner)),
        ] {
            set(outer.path(), above);
            set(&inner, mode);
            let found = match check(&inner) {
                Ok(()) => None,
                Err(Error::Writable { dir }) => Some(dir),
                Err(error) => panic!("{error}"),
            };
            assert_eq!(found.as_deref(), refused, "{above:o} {mode:o}");
        }
    }
}
