//! The settings as one table: a row is a flag, an environment variable and a key of `windrow.toml`.
//!
//! A new setting is a field of [`Config`] and a row of [`SETTINGS`]. Its flag, help, default and
//! check, the output of `windrow-server config` and the table in `server/SETTINGS.md` follow.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::setting::DefaultValue::{Described, Text};
use super::setting::{Group, Kind, Setting};
use super::{
    Database, ListenAddress, LogFormat, LogSettings, TimeZoneData, TimeZoneSettings, parse,
};
use crate::sources::SourceSettings;

/// All settings of a server, checked.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: ListenAddress,
    pub metrics_listen: Option<ListenAddress>,
    pub database: Database,
    pub max_connections: u32,
    pub max_concurrent_runs: u32,
    pub stop_grace: Duration,
    pub lease: Duration,
    /// Less than half of the lease. Cancellations are delivered within a second, so a longer
    /// interval counts as one second.
    pub heartbeat: Duration,
    pub event_retention: Duration,
    pub max_watches: u32,
    pub max_watches_per_client: u32,
    pub time_zones: TimeZoneSettings,
    pub log: LogSettings,
    /// The sources of the settings file, by name; without the built-in sample.
    pub sources: BTreeMap<String, SourceSettings>,
    /// Maximum concurrent runs by source, across all servers and workers.
    pub source_limits: BTreeMap<String, u32>,
    /// Fields that do not count as a change, by source.
    pub ignored_fields: BTreeMap<String, BTreeSet<String>>,
}

impl Config {
    /// The defaults of [`SETTINGS`], on this database.
    pub fn new(database: Database) -> Self {
        let mut config = Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into(),
            metrics_listen: None,
            database,
            max_connections: 0,
            max_concurrent_runs: 0,
            stop_grace: Duration::ZERO,
            lease: Duration::ZERO,
            heartbeat: Duration::ZERO,
            event_retention: Duration::ZERO,
            max_watches: 0,
            max_watches_per_client: 0,
            time_zones: TimeZoneSettings { data: TimeZoneData::Newest, directory: None },
            log: LogSettings { filter: String::new(), format: LogFormat::Text },
            sources: BTreeMap::new(),
            source_limits: BTreeMap::new(),
            ignored_fields: BTreeMap::new(),
        };
        for setting in SETTINGS {
            if let Text(default) = setting.default {
                let parsed = (setting.set)(&mut config, default);
                debug_assert_eq!(parsed, Ok(()), "default of {}", setting.name);
            }
        }
        config
    }
}

/// Every setting with a single value, in the order of the help. Sources are tables of the file.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "listen",
        flag: "listen",
        variable: Some("WINDROW_LISTEN"),
        default: Text("127.0.0.1:50051"),
        kind: Kind::Address,
        group: Group::Server,
        help: "Address for gRPC clients and workers",
        details: "A name, such as localhost, stands for all its addresses. Port 0 picks a free port, which \
                  the log prints.",
        set: |config, text| text.parse().map(|address| config.listen = address),
    },
    Setting {
        name: "metrics_listen",
        flag: "metrics-listen",
        variable: Some("WINDROW_METRICS_LISTEN"),
        default: Described("metrics are not served"),
        kind: Kind::Address,
        group: Group::Server,
        help: "Address for Prometheus metrics at /metrics",
        details: "",
        set: |config, text| text.parse().map(|address| config.metrics_listen = Some(address)),
    },
    Setting {
        name: "database_url",
        flag: "database-url",
        variable: Some("DATABASE_URL"),
        default: Described("the embedded Postgres"),
        kind: Kind::Url,
        group: Group::Database,
        help: "Postgres to use, for example postgres://user@host/windrow",
        details: "Several servers may share one database. Connections must be direct or \
                  session-pooled, because the server uses LISTEN and prepared statements. \
                  sslmode, sslrootcert, sslcert and sslkey work as in libpq.",
        set: |config, text| {
            parse::database_url(text).map(|url| config.database = Database::Url(url))
        },
    },
    Setting {
        name: "max_connections",
        flag: "max-connections",
        variable: None,
        default: Text("16"),
        kind: Kind::Count,
        group: Group::Database,
        help: "Maximum database connections",
        details: "2 to 1,000. Two more are used to read and to listen for changes. The server uses \
                  fewer if the database allows fewer.",
        set: |config, text| parse::connections(text).map(|count| config.max_connections = count),
    },
    Setting {
        name: "data_dir",
        flag: "data-dir",
        variable: Some("WINDROW_DATA_DIR"),
        default: Described(
            "/var/lib/windrow for root, else $XDG_DATA_HOME/windrow or ~/.local/share/windrow",
        ),
        kind: Kind::Directory,
        group: Group::EmbeddedPostgres,
        help: "Data directory of the embedded Postgres",
        details: "It is created if it is missing. One server uses it at a time.",
        set: |config, text| parse::directory(text).map(|dir| config.database.set_data_dir(dir)),
    },
    Setting {
        name: "postgres_bin_dir",
        flag: "postgres-bin-dir",
        variable: Some("WINDROW_POSTGRES_BIN_DIR"),
        default: Described("searched in PATH, /usr/lib/postgresql and pg_config --bindir"),
        kind: Kind::Directory,
        group: Group::EmbeddedPostgres,
        help: "Directory of the programs initdb and postgres",
        details: "",
        set: |config, text| parse::directory(text).map(|dir| config.database.set_bin_dir(dir)),
    },
    Setting {
        name: "max_concurrent_runs",
        flag: "max-concurrent-runs",
        variable: None,
        default: Text("4"),
        kind: Kind::Count,
        group: Group::Runs,
        help: "Maximum runs that this server executes at once",
        details: "1 to 1,000.",
        set: |config, text| parse::count(text).map(|count| config.max_concurrent_runs = count),
    },
    Setting {
        name: "stop_grace",
        flag: "stop-grace",
        variable: None,
        default: Text("20s"),
        kind: Kind::Duration,
        group: Group::Runs,
        help: "Time for running work to finish when the server stops",
        details: "0s to 24h. Unfinished runs go back to pending.",
        set: |config, text| parse::grace(text).map(|grace| config.stop_grace = grace),
    },
    Setting {
        name: "lease",
        flag: "lease",
        variable: None,
        default: Text("20s"),
        kind: Kind::Duration,
        group: Group::Runs,
        help: "Time without a heartbeat after which a worker loses its run",
        details: "Up to 24h. A job's policy may set another lease.",
        set: |config, text| parse::period(text).map(|lease| config.lease = lease),
    },
    Setting {
        name: "heartbeat",
        flag: "heartbeat",
        variable: None,
        default: Text("5s"),
        kind: Kind::Duration,
        group: Group::Runs,
        help: "Heartbeat interval of workers; less than half of the lease",
        details: "",
        set: |config, text| parse::period(text).map(|interval| config.heartbeat = interval),
    },
    Setting {
        name: "event_retention",
        flag: "event-retention",
        variable: None,
        default: Text("7d"),
        kind: Kind::Duration,
        group: Group::Watches,
        help: "Retention of run changes; a watch can be resumed for this long",
        details: "1h to 366d.",
        set: |config, text| parse::retention(text).map(|time| config.event_retention = time),
    },
    Setting {
        name: "max_watches",
        flag: "max-watches",
        variable: None,
        default: Text("10000"),
        kind: Kind::Count,
        group: Group::Watches,
        help: "Maximum open watches",
        details: "1 to 1,000,000.",
        set: |config, text| parse::watches(text).map(|count| config.max_watches = count),
    },
    Setting {
        name: "max_watches_per_client",
        flag: "max-watches-per-client",
        variable: None,
        default: Text("1000"),
        kind: Kind::Count,
        group: Group::Watches,
        help: "Maximum open watches per client address",
        details: "1 to 1,000,000.",
        set: |config, text| parse::watches(text).map(|count| config.max_watches_per_client = count),
    },
    Setting {
        name: "time_zone_data",
        flag: "time-zone-data",
        variable: Some("WINDROW_TIME_ZONE_DATA"),
        default: Text("newest"),
        kind: Kind::Choice,
        group: Group::Server,
        help: "Rules of time zones: newest, system or bundled",
        details: "newest uses the later edition of the other two. The system's are in the directory TZDIR, or in \
                  /usr/share/zoneinfo.",
        set: |config, text| parse::time_zone_data(text).map(|data| config.time_zones.data = data),
    },
    Setting {
        name: "log",
        flag: "log",
        variable: Some("WINDROW_LOG"),
        default: Text(
            "info,sqlx::pool=error,sqlx_core::pool=error,sqlx::postgres::notice=error,h2=error",
        ),
        kind: Kind::Filter,
        group: Group::Logging,
        help: "Log level or filter, for example windrow_server=debug,sqlx=warn",
        details: "Levels are off, error, warn, info, debug and trace. A filter is a list of TARGET=LEVEL and of the \
                  level of all others, which is info if it is missing. The default leaves out lines about database \
                  connections that repeat what the service reports, and lines that any client can cause.",
        set: |config, text| parse::log_filter(text).map(|filter| config.log.filter = filter),
    },
    Setting {
        name: "log_format",
        flag: "log-format",
        variable: Some("WINDROW_LOG_FORMAT"),
        default: Text("text"),
        kind: Kind::Format,
        group: Group::Logging,
        help: "Log format: text or json (one object per line)",
        details: "",
        set: |config, text| parse::log_format(text).map(|format| config.log.format = format),
    },
];
