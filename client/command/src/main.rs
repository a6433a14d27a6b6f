//! The command `windrow`: jobs, triggers, runs and watches from a terminal or a script.
//!
//! Promises: results go to stdout and everything else to stderr; with `--output json` one object per response, and
//! per hint and error; exit codes 0 completed, 1 error, 2 usage, 3 completed with failed locations, 4 failed, 5
//! cancelled, 130 interrupted while watching. A closed pipe ends it silently: with 0, or 1 if a run was watched.

mod cli;
mod cmd;

mod connection;
mod flags;

mod document;
mod failure;
mod json;
mod output;
mod render;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use crate::failure::{Failure, usage_code};

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && cli::asks_for_json() => {
            return ended(Err(Failure::CommandLine(error)));
        }
        Err(error) => {
            error.print().ok();
            return ExitCode::from(if error.use_stderr() { usage_code() } else { 0 });
        }
    };
    match runtime() {
        Ok(runtime) => {
            let done = runtime.block_on(cli.run());
            // A name server that does not answer must not keep the process.
            runtime.shutdown_background();
            ended(done)
        }
        Err(error) => ended(Err(Failure::Refused(format!("cannot start: {error}")))),
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn ended(done: Result<u8, Failure>) -> ExitCode {
    ExitCode::from(done.unwrap_or_else(|failure| {
        failure.report();
        failure.exit_code()
    }))
}
