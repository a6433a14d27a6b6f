//! Roles with limits, settings and few rights.

use std::time::{Duration, Instant};

use futures::future::join_all;

use super::{execute, execute_on, execute_run, new_name, refusal, url_of};
use crate::support::Windrow;
use crate::support::database::new_database;

/// A call that waits for a connection that the database refuses would take five seconds.
const STALL: Duration = Duration::from_secs(5);

/// Creates a role and a database that it owns. Returns the URL.
async fn new_role(settings: &str) -> String {
    let name = new_name();
    execute(&format!("create role {name} login {settings}")).await;
    execute(&format!("create database {name} owner {name}")).await;
    url_of(&name, &name)
}

fn role_of(url: &str) -> String {
    url::Url::parse(url).unwrap().username().to_owned()
}

#[tokio::test]
async fn a_server_works_with_the_connections_that_its_role_may_have() {
    for limit in [3, 4, 5] {
        let url = new_role(&format!("connection limit {limit}")).await;
        let windrow = Windrow::start_on(&url, |config| config.max_connections = 16).await;
        windrow.create("many").await;
        let begin = Instant::now();
        let runs = join_all((0..30).map(|_| windrow.trigger("many"))).await;
        assert!(begin.elapsed() < STALL, "{limit}: {:?}", begin.elapsed());
        for run in runs {
            windrow.end(&run.job_id).await;
        }
        windrow.stop().await;
    }
}

#[tokio::test]
async fn a_role_with_too_few_connections_is_refused_with_their_number() {
    let url = new_role("connection limit 2").await;
    let error = refusal(&url).await.to_string();
    let role = role_of(&url);
    assert_eq!(
        error,
        format!(
            "the connection limit of role {role} allows 2 connections, and at least 3 are needed; raise it"
        )
    );
}

#[tokio::test]
async fn a_server_goes_on_with_fewer_connections_when_others_take_them() {
    let url = new_role("").await;
    let role = role_of(&url);
    let windrow = Windrow::start_on(&url, |config| config.max_connections = 16).await;
    windrow.create("many").await;
    join_all((0..30).map(|_| windrow.trigger("many"))).await;
    // As after a restart of Postgres, when others were quicker.
    execute(&format!("alter role {role} connection limit 5")).await;
    let end =
        format!("select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}'");
    execute(&end).await;
    execute_run(&windrow).await;

    let begin = Instant::now();
    let runs = join_all((0..60).map(|_| windrow.trigger("many"))).await;
    assert!(begin.elapsed() < STALL, "{:?}", begin.elapsed());
    for run in runs {
        windrow.end(&run.job_id).await;
    }
    windrow.stop().await;
}

#[tokio::test]
async fn the_isolation_level_of_a_role_has_no_effect() {
    for level in ["serializable", "repeatable read"] {
        let url = new_role("").await;
        let role = role_of(&url);
        let level = format!("alter role {role} set default_transaction_isolation = '{level}'");
        execute(&level).await;
        let windrow = Windrow::start_on(&url, |_| {}).await;
        windrow.create("many").await;
        let runs = join_all((0..50).map(|_| windrow.trigger("many"))).await;
        // Cancelled, or ended before.
        join_all(runs.iter().step_by(2).map(|run| async {
            if let Err(error) = windrow.cancel(&run.job_id).await {
                assert_eq!(error.reason(), Some("RUN_ENDED"), "{error:?}");
            }
        }))
        .await;
        for run in &runs {
            windrow.end(&run.job_id).await;
        }
        assert_eq!(windrow.get_job("many").await.run_count, 50);
        windrow.stop().await;
    }
}

#[tokio::test]
async fn a_role_that_may_not_create_tables_can_serve() {
    let name = new_name();
    let url = new_database().await;
    execute(&format!("create role {name} login")).await;
    let grants = format!(
        "grant select, insert, update, delete on all tables in schema public to {name};
         grant usage on all sequences in schema public to {name}"
    );
    execute_on(&url, &grants).await;
    let database = url::Url::parse(&url).unwrap().path().trim_start_matches('/').to_owned();
    let windrow = Windrow::start_on(&url_of(&name, &database), |_| {}).await;
    execute_run(&windrow).await;
    windrow.stop().await;
}

#[tokio::test]
async fn a_role_that_may_not_migrate_is_told_who_can() {
    let name = new_name();
    execute(&format!("create role {name} login")).await;
    execute(&format!("create database {name}")).await;
    let error = refusal(&url_of(&name, &name)).await.to_string();
    assert!(error.starts_with(&format!("role {name} may not change the schema")), "{error}");
    assert!(error.contains("windrow-server migrate"), "{error}");
}
