//! An apply that cannot make all of its changes.

use std::process::{Output, Stdio};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, query_scalar, raw_sql};

use super::apply::{Try, said};
use crate::support::{Windrow, eventually, program};

/// Lock that the creation of job `b` waits for.
const LOCK: i64 = 4711;

fn jobs() -> String {
    let job = |id: &str| {
        format!(
            "scheduled_job_id: {id}\nname: {id}\ncron_expression: \"0 0 1 1 *\"\n\
             parameters: {{locations: [46220], source: quick}}\n"
        )
    };
    ["a", "b", "c"].map(job).join("---\n")
}

/// Executes `then` before job `b` is stored.
async fn before_b(windrow: &Windrow, then: &str) -> PgConnection {
    let mut database = PgConnection::connect(&windrow.database_url).await.unwrap();
    let sql = format!(
        "create function before_b() returns trigger language plpgsql as $$
         begin if new.scheduled_job_id = 'b' then {then}; end if; return new; end $$;
         create trigger before_b before insert on scheduled_job for each row execute function before_b()"
    );
    raw_sql(AssertSqlSafe(sql)).execute(&mut database).await.unwrap();
    database
}

fn hints(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn an_error_in_the_middle_tells_what_was_made() {
    let windrow = Windrow::start().await;
    let it = Try::new(&windrow);
    let mut database = before_b(&windrow, "raise exception 'no'").await;

    let refused = said(&it.apply(&jobs(), &["--yes"]).await, 1);
    for line in ["Made: create a\n", "Failed: create b\n", "Not made: create c\n", "error: "] {
        assert!(refused.contains(line), "{line} is missing in {refused}");
    }
    assert_eq!(windrow.client.list_jobs().await.unwrap().total, 1);

    database.execute("drop trigger before_b on scheduled_job").await.unwrap();
    let rest = said(&it.apply(&jobs(), &["--yes"]).await, 0);
    assert!(rest.contains("2 created") && rest.contains("1 unchanged"), "{rest}");
    windrow.stop().await;
}

#[tokio::test]
async fn an_interrupt_tells_what_was_made_and_what_may_be_made() {
    let windrow = Windrow::start().await;
    let mut database = before_b(&windrow, &format!("perform pg_advisory_lock({LOCK})")).await;
    let lock = format!("select pg_advisory_lock({LOCK})");
    database.execute(AssertSqlSafe(lock)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("jobs.yaml");
    std::fs::write(&file, jobs()).unwrap();

    let mut command = program::command("windrow");
    command.args(["--server", &windrow.address(), "apply", "--yes", "-f"]).arg(file);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted";
    let database = tokio::sync::Mutex::new(database);
    eventually("the creation of b waits", async || {
        let found = query_scalar::<_, i64>(waiting).fetch_one(&mut *database.lock().await).await;
        found
            .map_err(|error| error.to_string())
            .and_then(|n| (n > 0).then_some(()).ok_or(String::new()))
    })
    .await;
    let id = child.id().to_string();
    assert!(
        std::process::Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success()
    );
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();

    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let said = hints(&output);
    for line in ["Made: create a\n", "Interrupted, may be made: create b\n", "Not made: create c\n"]
    {
        assert!(said.contains(line), "{line} is missing in {said}");
    }
    database.into_inner().close().await.unwrap();
    windrow.stop().await;
}
