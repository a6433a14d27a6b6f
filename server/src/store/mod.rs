//! All the SQL, and nothing else.
//!
//! A function is one statement, is named thing first, and runs in the caller's transaction. Functions that
//! write take slices. Nothing here reads a clock or makes decisions: times are parameters, and states come from
//! `domain`. Only [`StoreError`] translates constraint names.

pub mod backfills;
mod budget;
mod conditions;
mod error;
pub mod events;
pub mod feed;
pub mod imports;
pub mod leases;
pub mod listen;
pub mod logs;
mod pool;
pub mod properties;
pub mod ready;
pub mod requests;
pub mod revisions;
mod rows;
pub mod runs;
pub mod scheduled_jobs;
mod schema;
pub mod servers;
pub mod statistics;
pub mod ticks;
pub mod turns;
pub mod workers;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

pub use self::budget::Budget;
pub use self::error::{StoreError, Trouble};
pub use self::pool::{
    ConnectError, Pool, begin, begin_alone, begin_shared, begin_snapshot, connect,
};
pub use self::schema::{SchemaError, has_schema, migrate};

pub async fn clock_read(conn: &mut PgConnection) -> Result<DateTime<Utc>, StoreError> {
    let now = sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(conn).await?;
    Ok(now)
}
