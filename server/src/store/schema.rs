//! The schema, and whether this release can use the one of a database.

use std::collections::BTreeMap;

use sqlx::migrate::{Migrate as _, MigrateError, Migrator};
use sqlx::{Executor as _, PgConnection, Row as _, raw_sql};
use tracing::warn;

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The release of this program.
const RELEASE: &str = concat!("Windrow ", env!("CARGO_PKG_VERSION"));
/// A migration may wait for another server that migrates.
const NO_TIMEOUTS: &str = "set statement_timeout = 0; set lock_timeout = 0";

/// A schema that this release cannot use.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error(
        "the schema of the database was made by {made_by} and is newer than {RELEASE}; start that release or a \
         later one, or use another database"
    )]
    Newer { made_by: String },
    #[error(
        "the schema of the database is older than {RELEASE}, and a dry run does not change it; run \
         `windrow-server migrate` first"
    )]
    Older,
    #[error(
        "migration {version} of the database was made by {made_by} and differs from that of this {RELEASE}: one of \
         them is not a release; start the program that made it, or use another database"
    )]
    OtherBuild { version: i64, made_by: String },
    #[error(
        "the database belongs to another application, which has a table _sqlx_migrations of its own; create a \
         database for Windrow"
    )]
    OtherApplication,
    #[error(
        "the database already contains tables with the names of Windrow's ({}); create a database for Windrow",
        .0.join(", ")
    )]
    NamesTaken(Vec<String>),
    #[error(
        "migration {0} was not completed; restore the database from a backup, or use another one"
    )]
    Incomplete(i64),
    #[error(
        "role {role} may not change the schema, which has to be migrated to {RELEASE}; run `windrow-server migrate` \
         as the owner of the database ({reason})"
    )]
    MayNotMigrate { role: String, reason: String },
    #[error("failed to migrate the schema")]
    Failed(#[from] MigrateError),
    #[error("failed to read the version of the schema")]
    Unread(#[from] sqlx::Error),
}

/// Migrates the schema to this release. Safe to call from several servers at once: they wait for each other.
///
/// A schema that is up to date is only read, so that a role without the right to create tables can serve.
pub async fn migrate(conn: &mut PgConnection) -> Result<(), SchemaError> {
    conn.execute(raw_sql(NO_TIMEOUTS)).await?;
    if is_current(conn).await? {
        return Ok(());
    }
    if let Err(error) = MIGRATIONS.run_direct(None, conn, false).await {
        return Err(explained(conn, error).await);
    }
    let comment = sqlx::AssertSqlSafe(format!("comment on table _sqlx_migrations is '{RELEASE}'"));
    if let Err(error) = conn.execute(raw_sql(comment)).await {
        warn!(%error, "Failed to record the release that migrated the schema");
    }
    Ok(())
}

/// Whether the database has the schema of this release; false without any schema. Changes nothing.
pub async fn has_schema(conn: &mut PgConnection) -> Result<bool, SchemaError> {
    let is_current = is_current(conn).await?;
    if !is_current && exists(conn).await? {
        return Err(SchemaError::Older);
    }
    Ok(is_current)
}

async fn exists(conn: &mut PgConnection) -> Result<bool, SchemaError> {
    let exists = raw_sql("select to_regclass('_sqlx_migrations') is not null");
    Ok(conn.fetch_one(exists).await?.try_get(0)?)
}

/// Whether the schema is that of this release. Fails if it never can be.
async fn is_current(conn: &mut PgConnection) -> Result<bool, SchemaError> {
    if !exists(conn).await? {
        let taken = tables_taken(conn).await?;
        return if taken.is_empty() { Ok(false) } else { Err(SchemaError::NamesTaken(taken)) };
    }
    if let Some(version) = conn.dirty_version(&MIGRATIONS.table_name).await? {
        return Err(SchemaError::Incomplete(version));
    }
    let applied = conn.list_applied_migrations(&MIGRATIONS.table_name).await?;
    let applied: BTreeMap<i64, _> =
        applied.into_iter().map(|migration| (migration.version, migration.checksum)).collect();
    for migration in MIGRATIONS.iter() {
        match applied.get(&migration.version) {
            Some(checksum) if *checksum != migration.checksum => {
                return Err(differs(conn, migration.version, &migration.description).await?);
            }
            Some(_) | None => {}
        }
    }
    if applied.keys().any(|version| !MIGRATIONS.version_exists(*version)) {
        return Err(if applied.keys().any(|version| MIGRATIONS.version_exists(*version)) {
            SchemaError::Newer { made_by: made_by(conn).await? }
        } else {
            SchemaError::OtherApplication
        });
    }
    Ok(applied.len() == MIGRATIONS.iter().count())
}

/// Tables of other applications that have names of ours.
async fn tables_taken(conn: &mut PgConnection) -> Result<Vec<String>, SchemaError> {
    let lines = MIGRATIONS.iter().flat_map(|migration| migration.sql.as_str().lines());
    let ours =
        lines.filter_map(|line| line.strip_prefix("create table ")?.split([' ', '(']).next());
    let ours: Vec<&str> = ours.collect();
    let taken = "select name from unnest($1::text[]) name where to_regclass(name) is not null";
    Ok(sqlx::query_scalar(taken).bind(ours).fetch_all(conn).await?)
}

async fn differs(
    conn: &mut PgConnection,
    version: i64,
    description: &str,
) -> Result<SchemaError, SchemaError> {
    let theirs = "select description from _sqlx_migrations where version = $1";
    let theirs: String = sqlx::query_scalar(theirs).bind(version).fetch_one(&mut *conn).await?;
    if theirs != description {
        return Ok(SchemaError::OtherApplication);
    }
    Ok(SchemaError::OtherBuild { version, made_by: made_by(conn).await? })
}

/// The release that migrated the schema last.
async fn made_by(conn: &mut PgConnection) -> Result<String, SchemaError> {
    let comment = "select obj_description('_sqlx_migrations'::regclass, 'pg_class')";
    let comment: Option<String> = sqlx::query_scalar(comment).fetch_one(conn).await?;
    Ok(comment.unwrap_or_else(|| "an unknown release of Windrow".to_owned()))
}

async fn explained(conn: &mut PgConnection, error: MigrateError) -> SchemaError {
    let (MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)) = &error else {
        return SchemaError::Failed(error);
    };
    let Some(database) = cause.as_database_error() else { return SchemaError::Failed(error) };
    let reason = database.message().to_owned();
    match database.code().as_deref() {
        Some("42501") => {
            let role = sqlx::query_scalar("select current_user::text").fetch_one(conn).await;
            SchemaError::MayNotMigrate { role: role.unwrap_or_default(), reason }
        }
        Some(_) | None => SchemaError::Failed(error),
    }
}
