//! The command `windrow`: jobs, triggers, runs and watches from a terminal or a script.
//!
//! Promises: results go to stdout and everything else to stderr; with `--output json` one object per response;
//! exit codes 0 completed, 1 error, 2 usage, 3 completed with failed locations, 4 failed, 5 cancelled, 130
//! interrupted while watching. A closed pipe ends it silently with exit code 1.

mod cli;
mod cmd;

mod connection;
mod flags;

mod failure;
mod json;
mod output;
mod render;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli.run().await {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.report();
            ExitCode::from(failure.exit_code())
        }
    }
}
