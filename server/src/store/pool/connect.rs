//! Connects to a database and checks that this server can use it.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;
use tracing::{info, warn};

use super::checks::{self, Database, Room};
use super::{Pool, session};

/// Limit for opening a connection. A name may have several addresses, of which the first does not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const NAME: &str = "windrow-server";

/// A database that this server cannot use.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(
        "failed to connect to the database at {target}; check --database-url and that Postgres is running"
    )]
    Failed { target: String, source: sqlx::Error },
    #[error("Postgres {version} is too old; version 15 or later is required")]
    TooOld { version: String },
    #[error(
        "database {database} has the encoding {encoding}, which cannot store every text; create one with \
         `create database {database}_utf8 encoding 'UTF8' template template0` and use that"
    )]
    NotUtf8 { database: String, encoding: String },
    #[error("the database is a read-only standby; connect to the primary")]
    Standby,
    #[error(
        "sessions of role {role} are read-only in database {database}; turn default_transaction_read_only off for \
         the role or the database"
    )]
    ReadOnly { role: String, database: String },
    #[error(
        "a pooler between this server and Postgres assigns a connection for each transaction; use its session \
         mode (pool_mode = session in PgBouncer), or connect to Postgres directly"
    )]
    TransactionPooling,
    #[error("{limit} allows {allowed} connections, and at least {needed} are needed; raise it")]
    TooFewConnections { limit: String, allowed: u32, needed: u32 },
}

/// Connects, checks the database and opens a pool with at most `connections` connections.
pub async fn connect(options: PgConnectOptions, connections: u32) -> Result<Pool, ConnectError> {
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name(NAME),
    }
    // PgBouncer refuses it at the start of a connection.
    .extra_float_digits(None);
    let target = target_of(&options);
    let failed = |source| ConnectError::Failed { target: target.clone(), source };
    let (mut connection, options) = negotiate(options).await.map_err(failed)?;
    let database = checks::read(&mut connection).await.map_err(failed)?;
    database.check()?;
    if checks::is_shared(&mut connection, &options).await.map_err(failed)? {
        return Err(ConnectError::TransactionPooling);
    }
    connection.close().await.map_err(failed)?;
    log_encryption(&options, &target, &database);
    let Room { calls, may_listen } = database.room(connections)?;
    Ok(Pool::new(options, calls, may_listen))
}

/// Opens a connection with the settings of a session.
pub(super) async fn session(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut connection = open(options).await?;
    session::set_up(&mut connection).await?;
    Ok(connection)
}

/// Opens a connection.
pub(super) async fn open(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let late = || {
        let text = format!("no answer within {} s", CONNECT_TIMEOUT.as_secs());
        sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text))
    };
    let connected = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await;
    connected.unwrap_or_else(|_| Err(late())).map_err(|error| explained(error, options))
}

/// Says where Postgres is expected if it is not running: the error of a socket is only that a file is missing.
pub(super) fn explained(error: sqlx::Error, options: &PgConnectOptions) -> sqlx::Error {
    match error {
        sqlx::Error::Io(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            let text = format!("Postgres is not running at {}: {error}", target_of(options));
            sqlx::Error::Io(io::Error::new(error.kind(), text))
        }
        error => error,
    }
}

/// Whether the database allows no more connections.
pub(super) fn is_refused(error: &sqlx::Error) -> bool {
    has_code(error, "53300")
}

fn has_code(error: &sqlx::Error, wanted: &str) -> bool {
    let error = error.as_database_error();
    error.and_then(DatabaseError::code).is_some_and(|code| code == wanted)
}

/// Decides for the whole process whether connections are encrypted, so that the later ones of `sslmode=prefer`
/// cannot silently be different.
async fn negotiate(
    options: PgConnectOptions,
) -> Result<(PgConnection, PgConnectOptions), sqlx::Error> {
    let is_socket = options.get_socket().is_some() || options.get_host().starts_with('/');
    let options = match options.get_ssl_mode() {
        _ if is_socket => options.ssl_mode(PgSslMode::Disable),
        PgSslMode::Prefer | PgSslMode::Allow => {
            let encrypted = options.clone().ssl_mode(PgSslMode::Require);
            match open(&encrypted).await {
                Ok(connection) => return Ok((connection, encrypted)),
                Err(error) if is_tls_refused(&error) => options.ssl_mode(PgSslMode::Disable),
                Err(error) => return Err(error),
            }
        }
        PgSslMode::Disable | PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => {
            options
        }
    };
    Ok((open(&options).await?, options))
}

/// Whether the server has no TLS, none in common with us, or does not allow it for this role.
fn is_tls_refused(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => error.kind() == io::ErrorKind::InvalidData,
        error => has_code(error, "28000"),
    }
}

fn log_encryption(options: &PgConnectOptions, target: &str, database: &Database) {
    let Database { name, version, .. } = database;
    let encryption = match options.get_ssl_mode() {
        PgSslMode::VerifyFull => "encrypted, server verified",
        PgSslMode::VerifyCa => "encrypted, authority of the server verified",
        PgSslMode::Require | PgSslMode::Prefer => "encrypted, server not verified",
        PgSslMode::Disable | PgSslMode::Allow => "not encrypted",
    };
    info!("Connected to database {name} of Postgres {version} at {target} ({encryption})");
    if matches!(options.get_ssl_mode(), PgSslMode::Disable) && is_remote(options) {
        warn!(
            "The connection to the database at {target} is not encrypted; turn ssl on in Postgres and use \
             sslmode=verify-full"
        );
    }
}

fn is_remote(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let is_local = host.starts_with('/')
        || host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    options.get_socket().is_none() && !is_local
}

/// Host and port, or the directory of the socket.
fn target_of(options: &PgConnectOptions) -> String {
    let (host, port) = (options.get_host(), options.get_port());
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None if host.starts_with('/') => host.to_owned(),
        None if host.contains(':') => format!("[{host}]:{port}"),
        None => format!("{host}:{port}"),
    }
}
