//! Databases as they are in practice: with TLS, behind a pooler, with limits and settings of their own.

mod outage;
mod pooler;
mod refused;
mod roles;
mod tls;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, raw_sql};
use windrow_server::{Server, StartError};

use crate::support::{Windrow, config};

/// Executes statements on the shared cluster.
async fn execute(statements: &str) {
    execute_on(&base(), statements).await;
}

async fn execute_on(url: &str, statements: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute(raw_sql(AssertSqlSafe(statements.to_owned()))).await.unwrap();
    connection.close().await.unwrap();
}

fn base() -> String {
    std::env::var("WINDROW_TEST_POSTGRES").unwrap()
}

/// URL of a database of the shared cluster for a role.
fn url_of(role: &str, database: &str) -> String {
    let mut url = url::Url::parse(&base()).unwrap();
    url.set_username(role).unwrap();
    url.set_path(database);
    url.into()
}

/// A name of a role and of a database.
fn new_name() -> String {
    format!("test_{:016x}", rand::random::<u64>())
}

/// Executes a run to its end.
async fn execute_run(windrow: &Windrow) {
    let id = format!("job{:x}", rand::random::<u32>());
    windrow.create(&id).await;
    let run = windrow.trigger(&id).await;
    let run = windrow.end(&run.job_id).await;
    assert_eq!(run.properties_scraped, 5, "{run:?}");
}

/// The error of a server that does not start.
async fn refusal(url: &str) -> StartError {
    match Server::start(config(url)).await {
        Ok(_running) => panic!("the server starts"),
        Err(error) => error,
    }
}
