//! All the SQL, and nothing else.
//!
//! A function is one statement, is named thing first, and runs in the caller's transaction. Functions that
//! write take slices. Nothing here reads a clock or makes decisions: times are parameters, and states come from
//! `domain`. Only [`StoreError`] translates constraint names.

pub mod backfills;
mod conditions;
mod error;
pub mod events;
pub mod feed;
pub mod history;
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
pub mod statistics;
pub mod ticks;
pub mod turns;
pub mod workers;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use sqlx::migrate::{MigrateError, Migrator};

pub use self::error::StoreError;
pub use self::pool::{begin, begin_alone, begin_shared, begin_snapshot, connect};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Migrates the schema to this version. Safe to call from several servers at once: they wait for each other.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    MIGRATIONS.run(pool).await
}

pub async fn clock_read(pool: &PgPool) -> Result<DateTime<Utc>, StoreError> {
    let now = sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(pool).await?;
    Ok(now)
}
