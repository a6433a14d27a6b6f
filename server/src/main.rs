//! The program `windrow-server`: parses, starts and maps errors to exit codes.

mod import;
mod serve;
mod signals;
mod source_check;

use std::error::Error;
use std::io::{self, Write};
use std::process::{self, ExitCode};
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;
use tikv_jemallocator::Jemalloc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use windrow_server::cli::{Cli, Command, SourceCommand};
use windrow_server::config::{Config, Resolved, TimeZoneSettings};
use windrow_server::domain::time_zones;
use windrow_server::sources::SourceRegistry;
use windrow_server::telemetry::{self, LogWriter};
use windrow_server::{Server, causes, descriptors, guard, zoneinfo};

use self::signals::Signals;

/// Its background threads return freed memory to the system. The allocator of glibc keeps most of what a burst of large
/// requests has used.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Exit code after a second signal, and of other commands after the first, as of a process killed by Ctrl-C.
const INTERRUPTED: u8 = 130;
/// Time for the last log lines.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    if let Some(code) = guard::main() {
        return code;
    }
    let cli = parse();
    let log = match LogWriter::to_stderr() {
        Ok(log) => log,
        Err(error) => {
            report(&error, io::stderr());
            return ExitCode::FAILURE;
        }
    };
    let done = start(&cli, &log);
    if let Err(error) = &done {
        report(error.as_ref(), log.clone());
    }
    log.flush(FLUSH_TIMEOUT);
    done.unwrap_or(ExitCode::FAILURE)
}

/// Like [`Cli::parse`], but `--version` also prints the available time zone data.
fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        if error.kind() == ErrorKind::DisplayVersion && error.print().is_ok() {
            let zones = zoneinfo::available(&TimeZoneSettings::from_process());
            writeln!(io::stdout(), "time zone data: {zones}").ok();
            process::exit(0);
        }
        error.exit()
    })
}

fn start(cli: &Cli, log: &LogWriter) -> Result<ExitCode, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(run(cli, log));
    // Does not wait for blocking work, such as a name that a resolver does not answer.
    runtime.shutdown_background();
    done
}

async fn run(cli: &Cli, log: &LogWriter) -> Result<ExitCode, Box<dyn Error>> {
    let resolved = Resolved::from_process(&cli.flags)?;
    let command = cli.command();
    if command == Command::Config {
        let zones = zoneinfo::load(&resolved.config.time_zones);
        let settings = format!("# time zone data: {zones}\n{}", resolved.render());
        io::stdout().write_all(settings.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    if !matches!(command, Command::Source(_)) {
        resolved.require_database()?;
    }
    let filter = telemetry::init(&resolved.config.log, log)?;
    resolved.warnings().iter().for_each(|warning| warn!("{warning}"));
    guard::enable(descriptors::raise_limit());
    time_zones::install(zoneinfo::load(&resolved.config.time_zones));
    info!("Using time zone data {}", time_zones::time_zones());
    let mut signals = Signals::register()?;
    if command == Command::Serve {
        // Without them, for example on macOS, memory returns with later requests only.
        tikv_jemalloc_ctl::background_thread::write(true).ok();
        return serve::run(resolved, &cli.flags, &filter, &mut signals).await;
    }
    let stop = CancellationToken::new();
    let once = Box::pin(once(command, &resolved.config, &stop));
    signals.cancelling(&stop, once).await.unwrap_or(Ok(ExitCode::from(INTERRUPTED)))
}

/// A command that ends by itself, or when `stop` is cancelled.
async fn once(
    command: Command,
    config: &Config,
    stop: &CancellationToken,
) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Config | Command::Serve => Ok(ExitCode::SUCCESS),
        Command::Migrate => {
            Server::migrate(config, stop).await?;
            writeln!(io::stdout(), "The database schema is up to date.")?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Import(args) => import::run(config, &args, stop).await,
        Command::Source(SourceCommand::Check(check)) => {
            let sources = SourceRegistry::from_settings(&config.sources)?;
            Ok(source_check::run(&sources, check, stop).await?)
        }
    }
}

/// Writes the error and its causes, one per line. Ignores a closed stderr.
fn report(error: &dyn Error, mut to: impl Write) {
    let mut text = format!("error: {error}\n");
    text.extend(causes(error).iter().map(|cause| format!("  caused by: {cause}\n")));
    to.write_all(text.as_bytes()).ok();
}
