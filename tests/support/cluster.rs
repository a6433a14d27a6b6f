//! Postgres clusters besides the shared one: for a restored dump, a standby or other settings.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

use super::eventually;
use super::program::{Process, open_to_all};

/// A running cluster. Killed and removed when dropped.
pub struct Cluster {
    programs: Programs,
    process: Process,
    dir: TempDir,
    port: u16,
}

/// The programs of Postgres, run as the user of the shared cluster.
#[derive(Clone)]
pub struct Programs {
    dir: PathBuf,
    user: (u32, u32),
}

impl Cluster {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts with more settings, each as `name=value`.
    pub async fn start_with(settings: &[&str]) -> Self {
        let programs = Programs::find().await;
        let dir = programs.new_dir();
        let data = data_of(&dir);
        programs.run(
            "initdb",
            &["-D", &data, "-U", "windrow", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"],
        );
        Self::start_in(programs, dir, settings).await
    }

    /// Creates a database and returns its URL.
    pub fn create(&self, database: &str) -> String {
        self.programs.run("createdb", &["--maintenance-db", &self.url("postgres"), database]);
        self.url(database)
    }

    /// Starts a standby of this cluster.
    pub async fn standby(&self) -> Self {
        let programs = self.programs.clone();
        let dir = programs.new_dir();
        let (from, to) = (self.socket_dir(), data_of(&dir));
        let from = ["-h", &from, "-U", "windrow", "-c", "fast", "-X", "stream"];
        programs.run("pg_basebackup", &[&from[..], &["-D", &to, "--write-recovery-conf"]].concat());
        Self::start_in(programs, dir, &[]).await
    }

    async fn start_in(programs: Programs, dir: TempDir, settings: &[&str]) -> Self {
        let process = spawn(&programs, &dir, settings);
        let port = settings.iter().find_map(|setting| setting.strip_prefix("port="));
        let port = port.map_or(5432, |port| port.parse().unwrap());
        let cluster = Self { programs, process, dir, port };
        cluster.wait_until("true", "the cluster starts").await;
        cluster
    }

    /// Restarts it after [`Cluster::kill`].
    pub async fn restart(&mut self) {
        let url = self.url("postgres");
        let (programs, dir) = (&self.programs, &self.dir);
        let process = Mutex::new(&mut self.process);
        eventually("the cluster restarts", async || {
            // Remains of the previous process may keep it from starting.
            respawn_if_ended(&mut process.lock().unwrap(), || spawn(programs, dir, &[]));
            PgConnection::connect(&url).await.map(drop)
        })
        .await;
    }

    /// URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        let host = self.socket_dir().replace('/', "%2F");
        format!("postgres://windrow@localhost/{database}?host={host}&port={}", self.port)
    }

    /// Waits until the standby has replayed everything that the other cluster has written.
    pub async fn catch_up_with(&self, other: &Self) {
        let mut connection = PgConnection::connect(&other.url("postgres")).await.unwrap();
        let place: String = sqlx::query_scalar("select pg_current_wal_flush_lsn()::text")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let there = format!("pg_last_wal_replay_lsn() >= '{place}'");
        self.wait_until(&there, "the standby catches up").await;
    }

    /// Makes a standby the primary.
    pub async fn promote(&self) {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        sqlx::query("select pg_promote(wait => true)").execute(&mut connection).await.unwrap();
    }

    /// kill -9 of all its processes.
    pub fn kill(&mut self) {
        // The other processes end with the first one.
        self.process.kill();
    }

    /// Immediate shutdown, which Postgres announces to its sessions with a warning.
    pub fn quit(&self) {
        self.process.signal("QUIT");
    }

    async fn wait_until(&self, condition: &str, what: &str) {
        eventually(what, async || {
            let connected = PgConnection::connect(&self.url("postgres")).await;
            let mut connection = connected.map_err(|error| error.to_string())?;
            let query = sqlx::AssertSqlSafe(format!("select {condition}"));
            let answer = sqlx::query_scalar::<_, Option<bool>>(query).fetch_one(&mut connection);
            match answer.await {
                Ok(Some(true)) => Ok(()),
                Ok(other) => Err(format!("{other:?}")),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    fn socket_dir(&self) -> String {
        self.dir.path().to_str().unwrap().to_owned()
    }
}

impl Programs {
    pub async fn find() -> Self {
        let url = std::env::var("WINDROW_TEST_POSTGRES").unwrap();
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let dir: String = sqlx::query_scalar("select setting from pg_config where name = 'BINDIR'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let data: String =
            sqlx::query_scalar("show data_directory").fetch_one(&mut connection).await.unwrap();
        let data = Path::new(&data).metadata().unwrap();
        Self { dir: dir.into(), user: (data.uid(), data.gid()) }
    }

    /// User and group of Postgres.
    pub fn user(&self) -> (u32, u32) {
        self.user
    }

    /// Dumps a database into a file.
    pub fn dump(&self, url: &str, file: &Path) {
        let to = file.to_str().unwrap();
        self.run("pg_dump", &["--format", "custom", "--create", "--file", to, url]);
    }

    /// Restores the database of a dump into a cluster, under its name.
    pub fn restore(&self, file: &Path, cluster: &Cluster) {
        let (from, to) = (file.to_str().unwrap(), cluster.url("postgres"));
        self.run("pg_restore", &["--create", "--exit-on-error", "--dbname", &to, from]);
    }

    /// Directory that belongs to the user of Postgres, with a path short enough for a socket.
    pub fn new_dir(&self) -> TempDir {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        open_to_all(dir.path());
        chown(dir.path(), Some(self.user.0), Some(self.user.1)).unwrap();
        dir
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.command(program).args(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} failed: {stderr}");
    }

    /// A program of Postgres, or one with a path, that ends with the test program, even if that is killed.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        // Postgres refuses to run as root.
        if Path::new("/proc/self").metadata().unwrap().uid() == 0 {
            let (user, group) = (self.user.0.to_string(), self.user.1.to_string());
            command.args(["--reuid", &user, "--regid", &group, "--clear-groups"]);
        }
        command.arg(self.dir.join(program)).current_dir("/").stdin(Stdio::null());
        command
    }
}

fn respawn_if_ended(process: &mut Process, spawn: impl FnOnce() -> Process) {
    if process.has_ended() {
        *process = spawn();
    }
}

fn spawn(programs: &Programs, dir: &TempDir, settings: &[&str]) -> Process {
    let sockets = format!("unix_socket_directories={}", dir.path().display());
    let mut command = programs.command("postgres");
    command.args(["-D", &data_of(dir), "-c", "listen_addresses=", "-c", &sockets]);
    command.args(["-c", "max_connections=50", "-c", "fsync=off"]);
    command.args(settings.iter().flat_map(|setting| ["-c", *setting]));
    Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

fn data_of(dir: &TempDir) -> String {
    dir.path().join("data").to_str().unwrap().to_owned()
}
