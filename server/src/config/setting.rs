//! One row of the table of settings, and its form as a flag.

use clap::Arg;

use super::Config;

/// A setting with a single value.
pub struct Setting {
    /// The key in `windrow.toml`.
    pub name: &'static str,
    /// The name with dashes, as clap needs a static text.
    pub flag: &'static str,
    pub variable: Option<&'static str>,
    pub default: DefaultValue,
    pub kind: Kind,
    pub group: Group,
    /// One phrase for `-h`.
    pub help: &'static str,
    /// More sentences for `--help` and the reference, such as limits; may be empty.
    pub details: &'static str,
    /// Parses the text and stores the value. The error is a phrase without secrets.
    pub set: fn(&mut Config, &str) -> Result<(), String>,
}

/// The value of a setting that is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    Text(&'static str),
    /// The setting stays unset, with this effect.
    Described(&'static str),
}

/// The form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Address,
    /// May contain a password.
    Url,
    Directory,
    File,
    /// A bare number in `windrow.toml`; all others are strings.
    Count,
    Duration,
    Filter,
    /// One of some words.
    Choice,
    Format,
    /// A bare `true` or `false` in `windrow.toml`. The flag alone means `true`.
    Switch,
}

/// A heading of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Server,
    Security,
    Database,
    /// Not used with a database URL.
    EmbeddedPostgres,
    Runs,
    Watches,
    Logging,
}

impl Setting {
    /// The flag as clap's argument, accepted before and after the command. Its value stays text, so
    /// that flags, variables and the file are checked and reported alike.
    pub(super) fn argument(&self) -> Arg {
        let argument = Arg::new(self.name)
            .long(self.flag)
            .global(true)
            .value_name(self.kind.placeholder())
            .help_heading(self.group.heading())
            .help(format!("{} {}", self.help, self.origins()))
            .long_help(self.long_help());
        match self.kind {
            Kind::Switch => {
                argument.num_args(0..=1).require_equals(true).default_missing_value("true")
            }
            Kind::Address
            | Kind::Url
            | Kind::Directory
            | Kind::File
            | Kind::Count
            | Kind::Duration
            | Kind::Filter
            | Kind::Choice
            | Kind::Format => argument,
        }
    }

    fn long_help(&self) -> String {
        let details = if self.details.is_empty() { "" } else { ". " };
        format!("{}{details}{}\n{}", self.help, self.details, self.origins())
    }

    /// Default and variable, in the form that clap gives its own.
    fn origins(&self) -> String {
        let (DefaultValue::Text(default) | DefaultValue::Described(default)) = self.default;
        match self.variable {
            Some(variable) => format!("[default: {default}] [env: {variable}]"),
            None => format!("[default: {default}]"),
        }
    }
}

impl Kind {
    fn placeholder(self) -> &'static str {
        match self {
            Self::Address => "ADDRESS:PORT",
            Self::Url => "URL",
            Self::Directory => "DIR",
            Self::File => "FILE",
            Self::Count => "COUNT",
            Self::Duration => "DURATION",
            Self::Filter => "FILTER",
            Self::Choice => "CHOICE",
            Self::Format => "FORMAT",
            Self::Switch => "BOOL",
        }
    }
}

impl Group {
    fn heading(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Security => "Security",
            Self::Database => "Database",
            Self::EmbeddedPostgres => "Embedded Postgres",
            Self::Runs => "Runs",
            Self::Watches => "Watches",
            Self::Logging => "Logging",
        }
    }
}
