//! The specified behavior, seen by an independent client: Python's grpcio with server reflection.

use std::process::Command;

use crate::support::Windrow;
use crate::support::python::{SCRIPTS, run, with_requirements};

#[tokio::test]
async fn a_python_client_with_reflection_gets_the_specified_behavior() {
    let python = tokio::task::spawn_blocking(with_requirements).await.unwrap();
    let windrow = Windrow::start().await;
    let address = windrow.address();
    let script = tokio::task::spawn_blocking(move || {
        run(Command::new(python).arg(format!("{SCRIPTS}/reflection.py")).arg(address))
    });

    let output = script.await.unwrap();

    assert_eq!(output.trim(), "All of the seed's behaviours hold.");
    windrow.stop().await;
}
