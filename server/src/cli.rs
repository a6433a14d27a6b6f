//! The command line of `windrow-server`: commands, flags and their help.
//!
//! Flags stay text here. `config` merges them with the environment and `windrow.toml` and parses
//! all three in one place, so that every bad value is reported the same way. For the same reason
//! clap neither reads the environment nor knows the defaults; a test keeps the help true to both.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::domain::parameters::ListingType;

/// Windrow's server: schedules scraping jobs, runs them and streams what happens.
///
/// Flags win over the environment, the environment over windrow.toml, and that over the defaults.
/// `windrow-server config` shows what is in force and where it comes from.
#[derive(Clone, Default, Parser)]
#[command(name = "windrow-server", version)]
pub struct Cli {
    /// What to do; `None` is `serve`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings that were given as flags.
    #[command(flatten)]
    pub flags: Flags,
}

impl Cli {
    /// What to do, with the default filled in.
    pub fn command(&self) -> Command {
        self.command.clone().unwrap_or(Command::Serve)
    }
}

/// What the server can be asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Serve until SIGTERM or Ctrl-C (what happens without a command)
    #[command(visible_alias = "run")]
    Serve,
    /// Bring the database's schema up to date and exit
    Migrate,
    /// Print the settings in force and where each comes from, with passwords hidden
    Config,
    /// Take over scheduled jobs and runs of an earlier system from mongoexport's JSON lines
    ///
    /// Ids, links, counters and history are kept. What exists already is left alone, so an import may
    /// be repeated. Exit code 3: some lines were refused.
    Import(ImportArgs),
    /// Look after the sources that the settings define
    #[command(subcommand)]
    Source(SourceCommand),
}

/// What to take over.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct ImportArgs {
    /// Exports of `scheduled_jobs` and `jobs`, a document a line, in any order
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Read and check everything, write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The source that the jobs shall use; needed unless the settings define exactly one
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Write everything that was mended or refused there
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// What can be done with a source.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum SourceCommand {
    /// Scrape one location and print what comes, a JSON object a line; nothing is stored
    Check(SourceCheck),
}

/// One location to try a source on.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct SourceCheck {
    /// The source's name in the settings
    pub name: String,
    /// The location, as a scheduled job would name it
    #[arg(long)]
    pub location: String,
    /// Which listings: for_sale, for_rent, sold or pending; may be repeated
    #[arg(long = "listing-type", value_name = "TYPE", value_parser = listing_type)]
    pub listing_types: Vec<ListingType>,
    /// At most so many listings
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
}

fn listing_type(word: &str) -> Result<ListingType, String> {
    let word = word.to_lowercase().replace('-', "_");
    ListingType::from_word(&word)
        .ok_or_else(|| "not one of for_sale, for_rent, sold, pending".to_owned())
}

// No `Debug` here or above: a database URL holds a password.
/// The settings as flags, accepted before and after the command; `None` was not given.
#[derive(Clone, Default, Args)]
pub struct Flags {
    /// Settings file; must exist if named
    /// (default: windrow.toml in the current directory, if there; environment: WINDROW_CONFIG)
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<String>,

    /// Address for gRPC clients and workers
    /// (default: 127.0.0.1:50051; environment: WINDROW_LISTEN)
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,

    /// Address where Prometheus reads /metrics; not served unless set
    /// (environment: WINDROW_METRICS_LISTEN)
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub metrics_listen: Option<String>,

    /// Postgres to use, such as postgres://user@host/windrow; without it the server starts its own
    /// in the data directory (environment: DATABASE_URL)
    #[arg(long, global = true, value_name = "URL", help_heading = "Database")]
    pub database_url: Option<String>,

    /// Where the server's own Postgres keeps its data
    /// (default: /var/lib/windrow for root, else $XDG_DATA_HOME/windrow or ~/.local/share/windrow;
    /// environment: WINDROW_DATA_DIR)
    #[arg(long, global = true, value_name = "DIRECTORY", help_heading = "Database")]
    pub data_dir: Option<String>,

    /// Where `initdb` and `postgres` are, if they are not found by themselves
    /// (environment: WINDROW_POSTGRES_BIN_DIR)
    #[arg(long, global = true, value_name = "DIRECTORY", help_heading = "Database")]
    pub postgres_bin_dir: Option<String>,

    /// Most connections to the database at once (default: 16)
    #[arg(long, global = true, value_name = "COUNT", help_heading = "Database")]
    pub max_connections: Option<String>,

    /// Most runs that this server executes at once (default: 4)
    #[arg(long, global = true, value_name = "COUNT", help_heading = "Runs")]
    pub max_concurrent_runs: Option<String>,

    /// How long running work may take to end when the server stops (default: 20s)
    #[arg(long, global = true, value_name = "DURATION", help_heading = "Runs")]
    pub stop_grace: Option<String>,

    /// How long a worker may be silent before its run is given to another (default: 20s)
    #[arg(long, global = true, value_name = "DURATION", help_heading = "Runs")]
    pub lease: Option<String>,

    /// How often a worker reports; less than half of the lease (default: 5s)
    #[arg(long, global = true, value_name = "DURATION", help_heading = "Runs")]
    pub heartbeat: Option<String>,

    /// How long changes of runs are kept for watchers to come back to (default: 7d)
    #[arg(long, global = true, value_name = "DURATION", help_heading = "Watches")]
    pub event_retention: Option<String>,

    /// Most watches at once (default: 10000)
    #[arg(long, global = true, value_name = "COUNT", help_heading = "Watches")]
    pub max_watches: Option<String>,

    /// Most watches of one client at once; clients are told apart by their addresses
    /// (default: 1000)
    #[arg(long, global = true, value_name = "COUNT", help_heading = "Watches")]
    pub max_watches_per_client: Option<String>,

    /// What to log, such as info or windrow_server=debug,sqlx=warn
    /// (default: info; environment: WINDROW_LOG)
    #[arg(long, global = true, value_name = "FILTER", help_heading = "Logging")]
    pub log: Option<String>,

    /// text for people or json for machines (default: text; environment: WINDROW_LOG_FORMAT)
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Logging")]
    pub log_format: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::Key;

    fn parse(arguments: &[&str]) -> Cli {
        Cli::try_parse_from([&["windrow-server"], arguments].concat()).unwrap()
    }

    #[test]
    fn clap_accepts_the_definition() {
        <Cli as CommandFactory>::command().debug_assert();
    }

    #[test]
    fn no_command_means_serve() {
        for (arguments, command) in [
            (&[][..], Command::Serve),
            (&["serve"], Command::Serve),
            (&["run"], Command::Serve),
            (&["migrate"], Command::Migrate),
            (&["config"], Command::Config),
        ] {
            assert_eq!(parse(arguments).command(), command, "{arguments:?}");
        }
    }

    #[test]
    fn every_flag_stands_before_or_after_the_command() {
        for key in Key::ALL {
            let flag = key.flag();
            for arguments in [[&flag, "x", "migrate"], ["migrate", &flag, "x"]] {
                assert_eq!(key.of(&parse(&arguments).flags), Some("x"), "{arguments:?}");
            }
        }
    }

    #[test]
    fn the_help_names_every_default_and_variable() {
        let command = <Cli as CommandFactory>::command();
        for key in Key::ALL {
            let argument = command.get_arguments().find(|a| a.get_id() == key.name()).unwrap();
            let help = argument.get_help().unwrap().to_string();
            if let Some(default) = key.default_text() {
                assert!(help.contains(&format!("default: {default}")), "{help}");
            }
            if let Some(variable) = key.variable() {
                assert!(help.contains(&format!("environment: {variable}")), "{help}");
            }
        }
    }
}
