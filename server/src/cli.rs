//! The command line of `windrow-server`: commands, their arguments and their help.
//!
//! Settings are flags too, but come from the table in `config`. Clap neither parses their values nor
//! reads the environment, so that every bad value is reported alike.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Flags;
use crate::domain::parameters::ListingType;

const EXAMPLES: &str = "\
Examples:
  windrow-server                                   Serve on 127.0.0.1:50051, with an embedded Postgres
  windrow-server --listen [::]:50051 --tls-certificate cert.pem --tls-key key.pem --tls-client-ca ca.pem
  DATABASE_URL=postgres://me@db/windrow windrow-server
  windrow-server config                            Print the settings and their origins

Exit codes:
  0    success; for serve, a clean stop after SIGTERM or Ctrl-C
  1    error
  2    invalid arguments
  3    import: some documents were rejected
  130  serve: a second signal interrupted the stop";

const IMPORT_EXAMPLES: &str = "\
Examples:
  windrow-server import --source mls --dry-run scheduled_jobs.json jobs.json
  windrow-server import --source mls --report report.txt scheduled_jobs.json jobs.json

Exit codes:
  0  every document was imported, or already existed
  1  error
  2  invalid arguments
  3  some documents were rejected; the others were imported";

const CHECK_EXAMPLES: &str = "\
Examples:
  windrow-server source check sample --location 'Indianapolis, IN'
  windrow-server source check mls --location 46204 --listing-type sold --limit 10

Exit codes:
  0  the location succeeded
  1  the location or the source failed
  2  invalid arguments";

/// Windrow's server: schedules and executes scraping runs and streams their status
///
/// Without a command it serves. Settings come from flags, then the environment, then windrow.toml,
/// then defaults; `windrow-server config` prints the ones in effect.
#[derive(Clone, Default, Parser)]
#[command(name = "windrow-server", version, after_help = "See --help for examples and exit codes.")]
#[command(after_long_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub flags: Flags,
}

impl Cli {
    /// The command; `serve` by default.
    pub fn command(&self) -> Command {
        self.command.clone().unwrap_or(Command::Serve)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Serve until SIGTERM or Ctrl-C (the default)
    ///
    /// The first signal stops the server cleanly: running work has the grace period to finish, and
    /// watches resume on another server. A second signal ends the process immediately.
    #[command(visible_alias = "run")]
    Serve,
    /// Migrate the database schema and exit
    ///
    /// `serve` does this as well. Several servers may migrate at the same time.
    Migrate,
    /// Print the settings in effect and their origins
    ///
    /// The output is a valid windrow.toml. Passwords and tokens are replaced by ***.
    Config,
    /// Import scheduled jobs and runs from mongoexport files
    ///
    /// Keeps ids, links, counters and history. Leaves existing jobs and runs unchanged, so an import
    /// can be repeated. Stop the server first if it uses the embedded Postgres.
    #[command(after_long_help = IMPORT_EXAMPLES)]
    Import(ImportArgs),
    /// Inspect configured sources
    #[command(subcommand)]
    Source(SourceCommand),
}

#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct ImportArgs {
    /// Exports of `scheduled_jobs` and `jobs` (required)
    ///
    /// From mongoexport in any layout, also compressed with gzip, in any order; - is stdin.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Check the files without writing anything
    #[arg(long)]
    pub dry_run: bool,
    /// Source of the imported jobs; required unless exactly one is configured
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Write every repaired or rejected value to this file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum SourceCommand {
    /// Scrape one location and print its listings, without storing them
    ///
    /// Prints one JSON object per line on stdout; the source's log goes to stderr.
    #[command(after_long_help = CHECK_EXAMPLES)]
    Check(SourceCheck),
}

#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct SourceCheck {
    /// Name of a source in the settings (required)
    pub name: String,
    /// Location to scrape, as in a scheduled job (required)
    #[arg(long)]
    pub location: String,
    /// Listing type: for_sale, for_rent, sold or pending; repeatable
    #[arg(long = "listing-type", value_name = "TYPE", value_parser = listing_type)]
    pub listing_types: Vec<ListingType>,
    /// Maximum listings, 1 to 10000
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
}

fn listing_type(word: &str) -> Result<ListingType, String> {
    let word = word.to_lowercase().replace('-', "_");
    word.parse().map_err(|_| "expected for_sale, for_rent, sold or pending".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::{DefaultValue, SETTINGS};

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
    fn every_setting_is_a_flag_before_or_after_the_command() {
        for setting in SETTINGS {
            assert_eq!(setting.flag, setting.name.replace('_', "-"));
            let flag = format!("--{}=x", setting.flag);
            for arguments in [[&*flag, "migrate"], ["migrate", &flag]] {
                assert_eq!(parse(&arguments).flags.get(setting), Some("x"), "{arguments:?}");
            }
        }
    }

    #[test]
    fn the_flag_of_a_switch_alone_means_true() {
        let switch = SETTINGS.iter().find(|setting| setting.name == "insecure").unwrap();
        for (arguments, value) in [
            (&["--insecure", "migrate"][..], Some("true")),
            (&["migrate", "--insecure"], Some("true")),
            (&["--insecure=false"], Some("false")),
            (&[], None),
        ] {
            assert_eq!(parse(arguments).flags.get(switch), value, "{arguments:?}");
        }
    }

    #[test]
    fn short_and_long_help_name_every_default_and_variable() {
        let command = || <Cli as CommandFactory>::command().term_width(0);
        let helps = [command().render_help(), command().render_long_help()];
        for help in helps.map(|help| help.to_string()) {
            for setting in SETTINGS {
                if let DefaultValue::Text(default) = setting.default {
                    assert!(help.contains(&format!("[default: {default}]")), "{help}");
                }
                if let Some(variable) = setting.variable {
                    assert!(help.contains(&format!("[env: {variable}]")), "{help}");
                }
            }
        }
    }
}
