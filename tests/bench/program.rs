//! The server that `.dev/bench` has built, in a process of its own, so that its memory and time can be measured.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A server. Killed when dropped.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) address: String,
    _dir: TempDir,
}

impl Program {
    /// Starts it on a database with this settings file, and waits until it listens.
    pub(crate) fn start(url: &str, settings: &str) -> Self {
        Self::run(Command::new(program()), url, settings)
    }

    /// Runs a command that executes the program, and waits until the server listens.
    pub(crate) fn run(mut command: Command, url: &str, settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("windrow.toml"), settings).unwrap();
        let mut child = command
            .args(["--listen", "127.0.0.1:0", "--database-url", url])
            .current_dir(dir.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .find_map(|line| Some(line.unwrap().split_once("Serving on ")?.1.trim().to_owned()))
            .expect("the server does not log its address");
        // Read to the end, or the server would block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address, _dir: dir }
    }

    /// Resident memory in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Path of the server, in the parent of the directory of this program.
pub(crate) fn program() -> PathBuf {
    let bench = std::env::current_exe().unwrap();
    let program = bench.parent().and_then(Path::parent).unwrap().join("windrow-server");
    assert!(program.is_file(), "{} is missing; use .dev/bench", program.display());
    program
}
