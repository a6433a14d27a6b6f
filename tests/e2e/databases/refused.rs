//! Databases that are refused at the start, with the remedy.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use windrow_server::StartError;

use super::{execute, execute_on, new_name, refusal, url_of};
use crate::support::database::new_database;

async fn error_of(url: &str) -> String {
    refusal(url).await.to_string()
}

#[tokio::test]
async fn a_database_that_cannot_store_every_text() {
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = new_name();
        execute(&format!(
            "create database {name} encoding '{encoding}' locale 'C' template template0"
        ))
        .await;
        let error = error_of(&url_of("windrow", &name)).await;
        assert!(error.contains(&format!("{name} has the encoding {encoding}")), "{error}");
        assert!(error.contains("encoding 'UTF8' template template0"), "{error}");
    }
}

#[tokio::test]
async fn a_database_that_is_read_only() {
    let url = new_database().await;
    let name = url::Url::parse(&url).unwrap().path().trim_start_matches('/').to_owned();
    execute(&format!("alter database {name} set default_transaction_read_only = on")).await;
    let error = error_of(&url).await;
    assert!(error.contains(&format!("read-only in database {name}")), "{error}");
}

#[tokio::test]
async fn a_schema_of_a_later_release() {
    let url = new_database().await;
    execute_on(
        &url,
        "insert into _sqlx_migrations values (999, 'later', now(), true, '\\x00', 1);
         comment on table _sqlx_migrations is 'Windrow 9.9.9'",
    )
    .await;
    let error = error_of(&url).await;
    assert!(error.contains("made by Windrow 9.9.9 and is newer than Windrow 0.1.0"), "{error}");
}

#[tokio::test]
async fn a_schema_of_another_build() {
    let url = new_database().await;
    execute_on(&url, "update _sqlx_migrations set checksum = '\\x00' where version = 2").await;
    let error = error_of(&url).await;
    assert!(error.contains("migration 2 of the database was made by Windrow 0.1.0"), "{error}");
}

#[tokio::test]
async fn a_migration_that_was_not_completed() {
    let url = new_database().await;
    execute_on(&url, "update _sqlx_migrations set success = false where version = 3").await;
    let error = error_of(&url).await;
    assert!(error.starts_with("migration 3 was not completed"), "{error}");
}

#[tokio::test]
async fn a_database_of_another_application() {
    let table =
        "create table _sqlx_migrations (version bigint primary key, description text not null,
            installed_on timestamptz not null default now(), success boolean not null,
            checksum bytea not null, execution_time bigint not null);";
    for statements in [
        "create table scheduled_job (id int)".to_owned(),
        format!(
            "{table} insert into _sqlx_migrations values (1, 'users', now(), true, '\\x00', 1)"
        ),
        format!(
            "{table} insert into _sqlx_migrations values (20250101, 'users', now(), true, '\\x00', 1)"
        ),
    ] {
        let name = new_name();
        execute(&format!("create database {name}")).await;
        let url = url_of("windrow", &name);
        execute_on(&url, &statements).await;
        let before = tables(&url).await;
        let error = error_of(&url).await;
        assert!(error.contains("create a database for Windrow"), "{statements}: {error}");
        assert_eq!(tables(&url).await, before, "nothing is left behind");
    }
}

#[tokio::test]
async fn a_url_that_asks_for_something_unknown() {
    for (parameter, named) in [
        ("connect_timeout=5", "connect_timeout"),
        ("sslmode=on", "sslmode=on"),
        ("host=a,b", "several hosts"),
    ] {
        let url = format!("{}&{parameter}", new_database().await);
        let error = refusal(&url).await;
        assert!(matches!(error, StartError::DatabaseUrl(_)), "{error:?}");
        assert!(error.to_string().contains(named), "{error}");
    }
}

async fn tables(url: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let count = "select count(*) from pg_class where relnamespace = 'public'::regnamespace";
    sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut connection).await.unwrap()
}
