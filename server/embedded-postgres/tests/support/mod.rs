use std::fs::{self, Permissions};
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use rustix::process::Pid;
use tempfile::TempDir;
use windrow_embedded_postgres::{Durability, EmbeddedPostgres, Settings};

const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the condition holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    let mut checks = tokio::time::interval(Duration::from_millis(10));
    let reached = async {
        while !condition().await {
            checks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.expect("the condition did not become true");
}

/// A data directory that the user of Postgres can enter. Deleted with the test.
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    _root: Option<TempDir>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new()
            .prefix("windrow-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in("/var/tmp")
            .unwrap();
        Self { dir: root.path().join("data"), _root: Some(root) }
    }

    pub(crate) fn at(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf(), _root: None }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings { data_dir: self.dir.clone(), bin_dir: None, durability: Durability::Throwaway }
    }

    pub(crate) async fn start(&self) -> EmbeddedPostgres {
        EmbeddedPostgres::start(self.settings()).await.unwrap()
    }

    pub(crate) fn ready(&self) -> PathBuf {
        self.dir.join("ready")
    }

    /// The unfinished clusters.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = PathBuf> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("initdb-"))
        })
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.dir.join("postgres/postmaster.pid")
    }

    pub(crate) fn postmaster(&self) -> Pid {
        self.try_postmaster().unwrap()
    }

    pub(crate) fn try_postmaster(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.pid_file()).ok()?;
        Pid::from_raw(text.lines().next()?.parse().ok()?)
    }
}

/// A process. Killed when dropped.
pub(crate) struct Server(pub(crate) Child);

impl Server {
    /// Runs one test of this program with a variable.
    pub(crate) fn start(test: &str, variable: &str, value: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test]).env(variable, value);
        Self(command.spawn().unwrap())
    }

    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            self.kill();
        }
    }
}
