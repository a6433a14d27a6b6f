//! The program `windrow-server`: parses, starts and maps errors to exit codes.

mod import;
mod source_check;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use windrow_server::Server;
use windrow_server::cli::{Cli, Command, SourceCommand};
use windrow_server::config::{Config, Resolved};
use windrow_server::sources::SourceRegistry;
use windrow_server::telemetry;

/// Exit code after a second signal, as of a process killed by Ctrl-C.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli).await {
        Ok(code) => code,
        Err(error) => {
            report(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> Result<ExitCode, Box<dyn Error>> {
    let resolved = Resolved::from_process(&cli.flags)?;
    match cli.command() {
        Command::Config => {
            io::stdout().write_all(resolved.render().as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Migrate => {
            telemetry::init(&resolved.config.log)?;
            Server::migrate(&resolved.config).await?;
            writeln!(io::stdout(), "The database schema is up to date.")?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Import(args) => {
            telemetry::init(&resolved.config.log)?;
            let offline = Server::open_offline(&resolved.config).await?;
            let imported = import::run(&offline, &args).await;
            offline.close().await;
            imported
        }
        Command::Source(SourceCommand::Check(check)) => {
            telemetry::init(&resolved.config.log)?;
            let sources = SourceRegistry::from_settings(&resolved.config.sources)?;
            Ok(source_check::run(&sources, check).await?)
        }
        Command::Serve => {
            telemetry::init(&resolved.config.log)?;
            serve(resolved.config).await
        }
    }
}

async fn serve(config: Config) -> Result<ExitCode, Box<dyn Error>> {
    // Register before starting, or a signal during the start would kill the process.
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let running = Server::start(config).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::select! {
        () = running.stop() => Ok(ExitCode::SUCCESS),
        _ = terminate.recv() => Ok(ExitCode::from(INTERRUPTED)),
        _ = interrupt.recv() => Ok(ExitCode::from(INTERRUPTED)),
    }
}

/// Prints the error and its causes, one per line. Ignores a closed stderr.
fn report(error: &dyn Error) {
    let mut stderr = io::stderr();
    writeln!(stderr, "error: {error}").ok();
    let mut cause = error.source();
    while let Some(error) = cause {
        writeln!(stderr, "  caused by: {error}").ok();
        cause = error.source();
    }
}
