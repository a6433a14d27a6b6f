//! The command `windrow`: jobs, triggers, runs and watches from a terminal or a script.
//!
//! Promises: results on stdout, everything else on stderr; with `--json` one object per answer; exit
//! codes 0 completed, 1 error, 2 usage, 3 completed with failed locations, 4 failed, 5 cancelled,
//! 130 interrupted while watching. A closed pipe ends it quietly with 1.

mod args;
mod parameters;

mod jobs;
mod properties;
mod runs;
mod ticks;
mod watch;

mod failure;
mod output;
mod text;

use std::process::ExitCode;

use clap::Parser;
use windrow_client::Client;

use args::{Cli, Command};
use failure::Failure;
use output::Output;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli).await {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.report();
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn run(cli: Cli) -> Result<u8, Failure> {
    let output = if cli.json { Output::Json } else { Output::Text };
    if let Command::Jobs(command) = &cli.command {
        jobs::check(command)?;
    }
    let client = Client::connect(&cli.server).await?;
    match cli.command {
        Command::Jobs(command) => jobs::run(&client, output, command).await,
        Command::Trigger(args) => runs::trigger(&client, output, args).await,
        Command::Runs(command) => runs::run(&client, output, command).await,
        Command::Properties(command) => properties::run(&client, output, command).await,
        Command::Ticks { scheduled_job_id, page } => {
            ticks::list(&client, output, scheduled_job_id, page).await
        }
        Command::Preview(args) => ticks::preview(&client, output, args).await,
        Command::Stats { scheduled_job_id, window } => {
            jobs::stats(&client, output, scheduled_job_id, window).await
        }
        Command::Watch { job_id, after_revision } => {
            watch::run(&client, output, &job_id, after_revision).await
        }
    }
}
