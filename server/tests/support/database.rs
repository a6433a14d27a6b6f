//! A database of its own for each test, copied from a template that is migrated once for a run.
//!
//! The cluster is named by `WINDROW_TEST_POSTGRES`; `.dev/test` makes one for the run.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

const TEMPLATE: &str = "windrow_template";
/// Key of an advisory lock: arbitrary, but the same in all test binaries.
const LOCK: i64 = 7_301_944;

/// The URL of a new, migrated database.
pub(crate) async fn new_database() -> String {
    let base = std::env::var("WINDROW_TEST_POSTGRES")
        .expect("WINDROW_TEST_POSTGRES is not set; run the tests with .dev/test");
    let mut connection = PgConnection::connect(&base).await.unwrap();
    let lock = AssertSqlSafe(format!("select pg_advisory_lock({LOCK})"));
    connection.execute(sqlx::raw_sql(lock)).await.unwrap();
    make_template(&mut connection, &base).await;
    let name = format!("test_{:016x}", rand::random::<u64>());
    let copy = AssertSqlSafe(format!("create database {name} template {TEMPLATE}"));
    connection.execute(sqlx::raw_sql(copy)).await.unwrap();
    // The end of the session releases the lock.
    connection.close().await.unwrap();
    url_of(&base, &name)
}

async fn make_template(connection: &mut PgConnection, base: &str) {
    let finished: Option<bool> =
        sqlx::query_scalar("select datistemplate from pg_database where datname = $1")
            .bind(TEMPLATE)
            .fetch_optional(&mut *connection)
            .await
            .unwrap();
    match finished {
        Some(true) => return,
        // Left behind by a test program that was killed while it migrated.
        Some(false) => {
            let drop = AssertSqlSafe(format!("drop database {TEMPLATE}"));
            connection.execute(sqlx::raw_sql(drop)).await.unwrap();
        }
        None => {}
    }
    let create = AssertSqlSafe(format!("create database {TEMPLATE}"));
    connection.execute(sqlx::raw_sql(create)).await.unwrap();
    let mut template = PgConnection::connect(&url_of(base, TEMPLATE)).await.unwrap();
    windrow_server::store::migrate(&mut template).await.unwrap();
    template.close().await.unwrap();
    let finish = AssertSqlSafe(format!("alter database {TEMPLATE} is_template true"));
    connection.execute(sqlx::raw_sql(finish)).await.unwrap();
}

fn url_of(base: &str, database: &str) -> String {
    let mut url = url::Url::parse(base).unwrap();
    url.set_path(database);
    url.into()
}
