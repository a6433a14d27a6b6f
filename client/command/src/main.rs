//! The command `windrow`: jobs, triggers, runs and watches from a terminal or a script.
//!
//! Promises: results on stdout, everything else on stderr; with `--output json` one object per answer; exit
//! codes 0 completed, 1 error, 2 usage, 3 completed with failed locations, 4 failed, 5 cancelled,
//! 130 interrupted while watching. A closed pipe ends it quietly with 1.

mod args;
mod page;
mod parameters;
mod policy;
mod values;

mod apply;
mod connection;
mod context;
mod shell;

mod jobs;
mod logs;
mod properties;
mod runs;
mod tick_policy;
mod ticks;
mod watch;

mod failure;
mod output;
mod text;

use std::process::ExitCode;

use clap::Parser;
use windrow_client::Client;

use args::{Cli, Color, Command};
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
    set_colors(cli.color);
    let output = cli.output();
    let command = match cli.command {
        Command::Jobs(command) => {
            jobs::check(&command)?;
            Command::Jobs(command)
        }
        Command::Context(command) => return context::run(command, &cli.connection),
        Command::Completions { shell } => return shell::completions(shell),
        Command::Man { directory } => return shell::man(directory.as_deref()),
        other => other,
    };
    let client = connection::connect(cli.connection).await?;
    call(&client, output, command).await
}

async fn call(client: &Client, output: Output, command: Command) -> Result<u8, Failure> {
    match command {
        Command::Jobs(command) => jobs::run(client, output, command).await,
        Command::Trigger(args) => runs::trigger(client, output, args).await,
        Command::Runs(command) => runs::run(client, output, command).await,
        Command::Properties(command) => properties::run(client, output, command).await,
        Command::Ticks { scheduled_job_id, page } => {
            ticks::list(client, output, scheduled_job_id, page).await
        }
        Command::Explain { scheduled_job_id, tick_at } => {
            ticks::explain(client, output, scheduled_job_id, tick_at).await
        }
        Command::Backfill(args) => ticks::backfill(client, output, args).await,
        Command::Preview(args) => ticks::preview(client, output, args).await,
        Command::Stats { scheduled_job_id, window } => {
            jobs::stats(client, output, scheduled_job_id, window).await
        }
        Command::Watch(args) => watch::run(client, output, args).await,
        Command::Apply(args) => apply::run(client, output, args).await,
        // Done before there is a connection.
        Command::Context(_) | Command::Completions { .. } | Command::Man { .. } => Ok(0),
    }
}

/// Without a word of the user it is the terminal that decides.
fn set_colors(color: Color) {
    match color {
        Color::Auto => {}
        Color::Always => console::set_colors_enabled(true),
        Color::Never => console::set_colors_enabled(false),
    }
}
