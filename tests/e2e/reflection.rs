//! The seed's behaviours by a client that nobody here wrote: Python's grpcio with server reflection.

use std::process::Command;

use crate::support::Windrow;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/scripts");
/// Kept between runs, and made anew when the requirements change.
const VENV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/python");

#[tokio::test]
async fn python_with_reflection_sees_the_seeds_behaviours() {
    let python = tokio::task::spawn_blocking(python).await.unwrap();
    let windrow = Windrow::start().await;
    let address = windrow.address();
    let script = tokio::task::spawn_blocking(move || {
        Command::new(python).arg(format!("{SCRIPTS}/reflection.py")).arg(address).output().unwrap()
    });

    let output = script.await.unwrap();

    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    assert_eq!(said.trim(), "All of the seed's behaviours hold.");
    windrow.stop().await;
}

/// A Python with what the script needs, from PyPI.
fn python() -> String {
    let python = format!("{VENV}/bin/python");
    let requirements = format!("{SCRIPTS}/requirements.txt");
    let installed = format!("{VENV}/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).unwrap();
    if std::fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear", VENV]));
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r", &requirements]));
    std::fs::write(installed, wanted).unwrap();
    python
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{errors}");
}
