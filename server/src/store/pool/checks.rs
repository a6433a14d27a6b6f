//! Checks of a database before it is used.
//!
//! Statements use the simple protocol: a pooler in transaction mode fails prepared statements with errors that
//! do not name the cause.

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _, raw_sql};
use tracing::warn;

use super::connect::{self, ConnectError};

/// Oldest version of Postgres, as `server_version_num`.
const OLDEST: i32 = 150_000;
/// Connections outside the pool: for the feed, and for the listener if there is room.
const FEED: u32 = 1;
const LISTENER: u32 = 1;
/// Fewest connections of the pool. With one, a call that waits for a lock would stop heartbeats.
const FEWEST: u32 = 2;

const READ: &str = "\
    select
        current_database() as name,
        current_user as role,
        current_setting('server_version') as version,
        current_setting('server_version_num')::int as version_number,
        current_setting('server_encoding') as encoding,
        pg_is_in_recovery() as is_standby,
        current_setting('transaction_read_only') = 'on' as is_read_only,
        case when not r.rolsuper then r.rolconnlimit else -1 end as role_limit,
        case when not r.rolsuper then d.datconnlimit else -1 end as database_limit,
        current_setting('max_connections')::int - case when r.rolsuper then 0 else
            current_setting('superuser_reserved_connections')::int
                + coalesce(current_setting('reserved_connections', true)::int, 0)
        end as server_limit
    from pg_roles r, pg_database d
    where r.rolname = current_user
        and d.datname = current_database()";

/// A database, as far as it matters here.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) name: String,
    pub(super) version: String,
    role: String,
    version_number: i32,
    encoding: String,
    is_standby: bool,
    is_read_only: bool,
    /// Limits of connections, with their names.
    limits: Vec<(String, u32)>,
}

/// Connections that this server may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) calls: u32,
    pub(super) may_listen: bool,
}

pub(super) async fn read(connection: &mut PgConnection) -> Result<Database, sqlx::Error> {
    let row = connection.fetch_one(raw_sql(READ)).await?;
    let (name, role): (String, String) = (row.try_get("name")?, row.try_get("role")?);
    let limits = [
        (format!("the connection limit of role {role}"), limit(&row, "role_limit")?),
        (format!("the connection limit of database {name}"), limit(&row, "database_limit")?),
        ("max_connections of Postgres".to_owned(), limit(&row, "server_limit")?),
    ];
    let limits = limits.into_iter().filter_map(|(name, limit)| Some((name, limit?))).collect();
    Ok(Database {
        name,
        role,
        version: row.try_get("version")?,
        version_number: row.try_get("version_number")?,
        encoding: row.try_get("encoding")?,
        is_standby: row.try_get("is_standby")?,
        is_read_only: row.try_get("is_read_only")?,
        limits,
    })
}

/// A limit; a negative one means none.
fn limit(row: &PgRow, column: &str) -> Result<Option<u32>, sqlx::Error> {
    Ok(u32::try_from(row.try_get::<i32, _>(column)?).ok())
}

impl Database {
    pub(super) fn check(&self) -> Result<(), ConnectError> {
        let (database, role) = (self.name.clone(), self.role.clone());
        if self.version_number < OLDEST {
            return Err(ConnectError::TooOld { version: self.version.clone() });
        }
        if self.encoding != "UTF8" {
            return Err(ConnectError::NotUtf8 { database, encoding: self.encoding.clone() });
        }
        if self.is_standby {
            return Err(ConnectError::Standby);
        }
        if self.is_read_only {
            return Err(ConnectError::ReadOnly { role, database });
        }
        Ok(())
    }

    /// Divides the connections that the limits allow. Other users of the database may take some of them; the pool
    /// adapts to that later.
    pub(super) fn room(&self, wanted: u32) -> Result<Room, ConnectError> {
        let Some((limit, allowed)) = self.limits.iter().min_by_key(|(_, limit)| *limit) else {
            return Ok(Room { calls: wanted, may_listen: true });
        };
        let needed = FEWEST + FEED;
        if *allowed < needed {
            let (limit, allowed) = (limit.clone(), *allowed);
            return Err(ConnectError::TooFewConnections { limit, allowed, needed });
        }
        let may_listen = *allowed >= needed + LISTENER;
        let others = if may_listen { FEED + LISTENER } else { FEED };
        let calls = wanted.min(allowed - others);
        if calls < wanted {
            warn!(
                "{limit} allows {allowed} connections; using {calls} for calls instead of the {wanted} of \
                 --max-connections"
            );
        }
        Ok(Room { calls, may_listen })
    }
}

/// Whether a pooler assigns connections of the database to us for one transaction at a time. Between two
/// transactions another client may then get a connection of ours, and we may get another one.
pub(super) async fn is_shared(
    first: &mut PgConnection,
    options: &PgConnectOptions,
) -> Result<bool, sqlx::Error> {
    let pid = pid_of(first).await?;
    let mut second = connect::open(options).await?;
    let is_shared = pid_of(&mut second).await? == pid || pid_of(first).await? != pid;
    second.close().await?;
    Ok(is_shared)
}

async fn pid_of(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let pid = raw_sql("select pg_backend_pid() as pid");
    connection.fetch_one(pid).await?.try_get("pid")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited_to(limit: u32) -> Database {
        Database {
            name: "windrow".to_owned(),
            version: "15.1".to_owned(),
            role: "me".to_owned(),
            version_number: OLDEST,
            encoding: "UTF8".to_owned(),
            is_standby: false,
            is_read_only: false,
            limits: vec![("role".to_owned(), limit), ("Postgres".to_owned(), 97)],
        }
    }

    #[test]
    fn the_smallest_limit_is_divided_and_too_small_a_one_is_refused() {
        for (limit, wanted, calls, may_listen) in [
            (100, 16, 16, true),
            (100, 200, 95, true),
            (5, 16, 3, true),
            (4, 16, 2, true),
            (3, 16, 2, false),
        ] {
            let room = limited_to(limit).room(wanted).unwrap();
            assert_eq!(room, Room { calls, may_listen }, "{limit}");
        }
        let refused = limited_to(2).room(16).unwrap_err().to_string();
        assert_eq!(refused, "role allows 2 connections, and at least 3 are needed; raise it");
    }
}
