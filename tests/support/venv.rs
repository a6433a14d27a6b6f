//! Virtual environments of Python, kept between test runs.

use std::path::Path;
use std::process::Command;

/// Installs the requirements from PyPI unless they are installed, and returns the interpreter.
pub fn python_with(requirements: &str, venv: &str) -> String {
    let python = format!("{venv}/bin/python");
    let required = std::fs::read_to_string(requirements).unwrap();
    install(venv, &required, || {
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r", requirements]));
    });
    python
}

/// Creates the environment and installs into it, unless that was done with the same inputs.
pub fn install(venv: &str, inputs: &str, install: impl FnOnce()) {
    let installed = Path::new(venv).join("installed.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|installed| installed == inputs) {
        return;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear", venv]));
    install();
    std::fs::write(installed, inputs).unwrap();
}

/// Runs a command and returns its output. Fails if the command does.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} failed:\n{stdout}\n{stderr}");
    stdout.into_owned()
}
