//! The programs of this workspace as processes.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};

use tempfile::TempDir;

use super::{PATIENCE, eventually};

/// A process. Killed when dropped.
pub struct Process(Child);

impl Process {
    pub fn spawn(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Sends a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Sends SIGTERM and returns the exit code.
    pub fn terminate(self) -> Option<i32> {
        self.signal("TERM");
        self.wait()
    }

    /// The exit code.
    pub fn wait(mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A server in a process of its own. Killed when dropped.
pub struct Program {
    pub process: Process,
    pub address: String,
    log: Arc<Mutex<Vec<String>>>,
    _dir: TempDir,
}

impl Program {
    /// Starts `windrow-server` with these flags and this settings file, and waits until it listens.
    pub fn start(flags: &[&str], settings: &str, environment: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("windrow.toml"), settings).unwrap();
        let mut process = Process::spawn(
            command("windrow-server")
                .args(["--listen", "127.0.0.1:0"])
                .args(flags)
                .current_dir(dir.path())
                .envs(environment.iter().copied())
                .stdout(Stdio::null())
                .stderr(Stdio::piped()),
        );
        let (sender, lines) = mpsc::channel();
        let stderr = BufReader::new(process.0.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&log);
        // Reads to the end, or the server would block on a full pipe.
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("{line}");
                if let Some((_, address)) = line.split_once("Serving on ") {
                    // A quotation mark follows in JSON.
                    let address = address.split(['"', ' ']).next().unwrap();
                    sender.send(address.trim().to_owned()).ok();
                }
                written.lock().unwrap().push(line);
            }
        });
        let address = lines.recv_timeout(PATIENCE).expect("the server does not log its address");
        Self { process, address, log, _dir: dir }
    }

    /// The log up to now.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Number of lines of the log that contain this text, up to now.
    pub fn count_log_lines(&self, text: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }

    /// Waits for a line of the log that contains this text, and returns it.
    pub async fn log_line(&self, text: &str) -> String {
        eventually(&format!("the server logs {text:?}"), async || {
            let log = self.log.lock().unwrap();
            let found = log.iter().find(|line| line.contains(text)).cloned();
            found.ok_or_else(|| log.last().cloned())
        })
        .await
    }
}

/// Runs `windrow` against a server.
pub fn windrow(address: &str, arguments: &[&str]) -> Output {
    command("windrow").args(["--server", address]).args(arguments).output().unwrap()
}

/// A program of this workspace, without the environment settings of the user.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    for variable in [
        "DATABASE_URL",
        "TZDIR",
        "WINDROW_CA_FILE",
        "WINDROW_CERTIFICATE_FILE",
        "WINDROW_KEY_FILE",
        "WINDROW_CONFIG",
        "WINDROW_CONTEXT",
        "WINDROW_LISTEN",
        "WINDROW_OUTPUT",
        "WINDROW_SERVER",
        "WINDROW_TIME_ZONE_DATA",
        "WINDROW_TOKEN",
    ] {
        command.env_remove(variable);
    }
    command
}

/// Path of a program, in the parent of the directory of the test programs.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(|deps| deps.parent()).unwrap().join(name);
    assert!(program.is_file(), "{} is missing; run the tests with .dev/test", program.display());
    program
}

/// Lets every user enter a directory: under root, Postgres runs as another user.
pub fn open_to_all(dir: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
}
