//! Finds the installed Postgres binaries.
//!
//! Several major versions may be installed side by side. An existing cluster determines the version,
//! so that the server still starts after a newer Postgres is installed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::error::Error;

/// Debian's directory with one subdirectory per major version.
const DEBIAN_ROOT: &str = "/usr/lib/postgresql";

/// A directory with `initdb` and `postgres` of one major version.
#[derive(Debug, Clone)]
pub(crate) struct Binaries {
    dir: PathBuf,
    major: u32,
}

impl Binaries {
    /// The first match: only in `setting` if given, else in `PATH`, Debian's directories (highest
    /// version first) and `pg_config --bindir`. With a `cluster` (directory and major version) only
    /// that version matches.
    pub(crate) async fn find(
        setting: Option<&Path>,
        cluster: Option<(&Path, u32)>,
    ) -> Result<Self, Error> {
        let places = match setting {
            Some(dir) => vec![dir.to_path_buf()],
            None => places().await,
        };
        let mut found = Vec::new();
        for dir in &places {
            if let Some(binaries) = Self::look_in(dir).await {
                if cluster.is_none_or(|(_, major)| major == binaries.major) {
                    return Ok(binaries);
                }
                found.push(format!("{} ({})", binaries.major, dir.display()));
            }
        }
        Err(match cluster {
            Some((dir, cluster)) if !found.is_empty() => {
                Error::Version { dir: dir.to_path_buf(), cluster, found: found.join(", ") }
            }
            Some(_) | None => Error::NoBinaries { searched: listing(&places, setting) },
        })
    }

    /// The path of one program, for instance `initdb`.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Requires both programs, and a `postgres` that prints its version.
    async fn look_in(dir: &Path) -> Option<Self> {
        let postgres = dir.join("postgres");
        if !dir.join("initdb").is_file() || !postgres.is_file() {
            return None;
        }
        let output = output_of(&postgres, "--version").await?;
        // Follow links: Postgres locates its share directory relative to its path.
        let dir = fs::canonicalize(&postgres).ok()?.parent()?.to_path_buf();
        Some(Self { dir, major: major_of(&output)? })
    }
}

async fn places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = env::var_os("PATH")
        .map(|path| env::split_paths(&path).filter(|dir| dir.is_absolute()).collect())
        .unwrap_or_default();
    places.extend(debian_places());
    if let Some(dir) = output_of(Path::new("pg_config"), "--bindir").await {
        places.push(PathBuf::from(dir.trim()));
    }
    places
}

fn debian_places() -> Vec<PathBuf> {
    let mut versions: Vec<u32> = fs::read_dir(DEBIAN_ROOT)
        .map(|entries| {
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
        })
        .unwrap_or_default();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions.into_iter().map(|v| Path::new(DEBIAN_ROOT).join(v.to_string()).join("bin")).collect()
}

async fn output_of(program: &Path, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).stdin(Stdio::null()).output().await.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The major version in `postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)`, `… 18beta1` too.
fn major_of(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL)")?.1.trim_start();
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number.get(..end)?.parse().ok()
}

fn listing(places: &[PathBuf], setting: Option<&Path>) -> String {
    let mut names: Vec<String> = places.iter().map(|dir| dir.display().to_string()).collect();
    if setting.is_none() {
        names.push(format!("{DEBIAN_ROOT}/*/bin"));
        names.push("`pg_config --bindir`".to_owned());
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::major_of;

    #[test]
    fn the_major_version_is_read_from_the_output_of_postgres() {
        let check = |text: &str, expected| assert_eq!(major_of(text), expected, "{text}");
        check("postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)\n", Some(15));
        check("postgres (PostgreSQL) 18beta1\n", Some(18));
        check("postgres (PostgreSQL) 17\n", Some(17));
        check("postgres 9.6", None);
        check("", None);
    }
}
