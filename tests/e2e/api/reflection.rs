//! The seed's behaviours by a client that nobody here wrote: Python's grpcio with server reflection.

use std::process::Command;

use crate::support::Windrow;
use crate::support::python::{SCRIPTS, run, with_requirements};

#[tokio::test]
async fn python_with_reflection_sees_the_seeds_behaviours() {
    let python = tokio::task::spawn_blocking(with_requirements).await.unwrap();
    let windrow = Windrow::start().await;
    let address = windrow.address();
    let script = tokio::task::spawn_blocking(move || {
        run(Command::new(python).arg(format!("{SCRIPTS}/reflection.py")).arg(address))
    });

    let said = script.await.unwrap();

    assert_eq!(said.trim(), "All of the seed's behaviours hold.");
    windrow.stop().await;
}
