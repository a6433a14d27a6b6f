//! Postgres clusters besides the one that all tests share: to restore a dump into, and with a standby.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::PATIENCE;
use super::program::{Process, open_to_all};

/// A running cluster. Killed and removed when dropped.
pub struct Cluster {
    programs: Programs,
    process: Process,
    dir: TempDir,
}

/// Postgres' own programs, run as the user of the cluster that all tests share.
#[derive(Clone)]
pub struct Programs {
    dir: PathBuf,
    user: (u32, u32),
}

impl Cluster {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// One with other settings, each a name, `=` and a value.
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

    /// Makes a database and returns where it is.
    pub fn create(&self, database: &str) -> String {
        self.programs.run("createdb", &["--maintenance-db", &self.url("postgres"), database]);
        self.url(database)
    }

    /// A standby that follows this cluster.
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
        let cluster = Self { programs, process, dir };
        cluster.wait_until("true", "the cluster does not start").await;
        cluster
    }

    /// Starts it again after [`Cluster::kill`].
    pub async fn restart(&mut self) {
        let begin = Instant::now();
        while PgConnection::connect(&self.url("postgres")).await.is_err() {
            assert!(begin.elapsed() < PATIENCE, "the cluster does not start again");
            // What is left of the one before may keep it from starting.
            if self.process.has_ended() {
                self.process = spawn(&self.programs, &self.dir, &[]);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Where a database of it is.
    pub fn url(&self, database: &str) -> String {
        let host = self.socket_dir().replace('/', "%2F");
        format!("postgres://windrow@localhost/{database}?host={host}")
    }

    /// Waits until the standby has all that the other cluster has written until now.
    pub async fn catch_up_with(&self, other: &Self) {
        let mut connection = PgConnection::connect(&other.url("postgres")).await.unwrap();
        let place: String = sqlx::query_scalar("select pg_current_wal_flush_lsn()::text")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let there = format!("pg_last_wal_replay_lsn() >= '{place}'");
        self.wait_until(&there, "the standby does not catch up").await;
    }

    /// Makes a standby the cluster that is written to.
    pub async fn promote(&self) {
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        sqlx::query("select pg_promote(wait => true)").execute(&mut connection).await.unwrap();
    }

    /// kill -9 of all its processes.
    pub fn kill(&mut self) {
        // The others end when the first one is gone.
        self.process.kill();
    }

    async fn wait_until(&self, condition: &str, otherwise: &str) {
        let begin = Instant::now();
        let query = format!("select {condition}");
        loop {
            let answer = async {
                let mut connection = PgConnection::connect(&self.url("postgres")).await?;
                let query = sqlx::AssertSqlSafe(query.clone());
                sqlx::query_scalar::<_, Option<bool>>(query).fetch_one(&mut connection).await
            };
            if matches!(answer.await, Ok(Some(true))) {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "{otherwise}");
            sleep(Duration::from_millis(50)).await;
        }
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

    /// Copies a database into another cluster, as a backup would.
    pub fn dump(&self, url: &str, file: &Path) {
        let to = file.to_str().unwrap();
        self.run("pg_dump", &["--format", "custom", "--create", "--file", to, url]);
    }

    /// Makes the database of a dump anew, under its name.
    pub fn restore(&self, file: &Path, cluster: &Cluster) {
        let (from, to) = (file.to_str().unwrap(), cluster.url("postgres"));
        self.run("pg_restore", &["--create", "--exit-on-error", "--dbname", &to, from]);
    }

    /// A directory of Postgres' user, with a path that is short enough for a socket.
    pub fn new_dir(&self) -> TempDir {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        open_to_all(dir.path());
        chown(dir.path(), Some(self.user.0), Some(self.user.1)).unwrap();
        dir
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.command(program).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} failed: {said}");
    }

    /// Ends with the tests, whatever ends those.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        // Postgres refuses to be root.
        if Path::new("/proc/self").metadata().unwrap().uid() == 0 {
            let (user, group) = (self.user.0.to_string(), self.user.1.to_string());
            command.args(["--reuid", &user, "--regid", &group, "--clear-groups"]);
        }
        command.arg(self.dir.join(program)).current_dir("/").stdin(Stdio::null());
        command
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
