//! The Python worker package, workers that use it, and other scripts.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::program::Process;
pub use super::venv::run;
use super::venv::{self, python_with};

pub const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/client/python");
pub const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/scripts");
const PROTOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proto/windrow/v1");
const VENV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/python-worker");
const SCRIPTS_VENV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/python");

/// Starts one of the scripts as a worker of a server.
pub fn worker(name: &str, server: &str) -> Process {
    Process::spawn(&mut script(name, server))
}

/// The command that runs one of the scripts as a worker of a server.
pub fn script(name: &str, server: &str) -> Command {
    let mut command = python();
    command.arg(format!("{SCRIPTS}/{name}")).env("WINDROW_SERVER", server).stdin(Stdio::null());
    command
}

/// The interpreter that has the package.
pub fn python() -> Command {
    Command::new(format!("{VENV}/bin/python"))
}

/// Installs the package with the requirements of its tests, from PyPI. The installation generates its stubs.
pub fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        venv::install(VENV, &package_inputs(), || {
            let package = format!("{PACKAGE}[homeharvest,test]");
            run(python().args(["-m", "pip", "install", "--quiet", "--editable", &package]));
        });
    });
}

/// The files that an installation of the package depends on.
fn package_inputs() -> String {
    let mut files =
        vec![Path::new(PACKAGE).join("pyproject.toml"), Path::new(PACKAGE).join("setup.py")];
    files.extend(std::fs::read_dir(PROTOS).unwrap().map(|entry| entry.unwrap().path()));
    files.sort();
    files.into_iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

/// The interpreter that has the requirements of the scripts.
pub fn with_requirements() -> String {
    python_with(&format!("{SCRIPTS}/requirements.txt"), SCRIPTS_VENV)
}
