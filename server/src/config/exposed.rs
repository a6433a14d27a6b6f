//! Secrets that other users of the machine can see, and programs that have the rights of root.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::overrides::Origin;
use super::{Resolved, parse};
use crate::sources::{ExecSettings, SourceSettings};

/// Permission of all users to read a file.
const READABLE: u32 = 0o004;

impl Resolved {
    /// What the operator should change, as sentences without a period.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        warnings.extend(self.password_in_arguments());
        warnings.extend(self.readable_files());
        if rustix::process::geteuid().is_root() {
            warnings.extend(self.programs_of_root());
        }
        warnings
    }

    fn password_in_arguments(&self) -> Option<String> {
        let origin = self.overrides.origin("database_url");
        (matches!(origin, Origin::Flag(_)) && self.has_database_password()).then(|| {
            format!(
                "{origin} contains a password, which all users of this machine can see in the list of processes; use \
                 the variable DATABASE_URL or the key database_url"
            )
        })
    }

    fn has_database_password(&self) -> bool {
        let url = self.overrides.get("database_url");
        url.is_some_and(|url| parse::hide_passwords(&url.text).contains(parse::HIDDEN))
    }

    fn readable_files(&self) -> Vec<String> {
        let in_database = matches!(self.overrides.origin("database_url"), Origin::Line { .. });
        let has_secret = in_database && self.has_database_password()
            || self.config.sources.values().any(SourceSettings::contains_secret);
        let settings = self.file.as_deref().filter(|_| has_secret);
        let others = self.config.sources.values().flat_map(SourceSettings::secret_files);
        let readable = settings.into_iter().chain(others).filter(|file| is_readable(file));
        readable
            .map(|file| {
                let file = file.display();
                format!(
                    "{file} contains a secret, and all users of this machine can read it; run \"chmod o-r {file}\""
                )
            })
            .collect()
    }

    fn programs_of_root(&self) -> Option<String> {
        let programs = self.config.sources.iter().filter(|(_, settings)| {
            matches!(settings, SourceSettings::Exec(ExecSettings { user: None, .. }))
        });
        let names: Vec<&str> = programs.map(|(name, _)| name.as_str()).collect();
        (!names.is_empty()).then(|| {
            let names = names.join(", ");
            format!("Programs of these sources run as root; choose another user with the key user: {names}")
        })
    }
}

fn is_readable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.mode() & READABLE != 0)
}
