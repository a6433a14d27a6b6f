//! A crash of the database under an open watch.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use windrow_server::domain::filter::RunFilter;
use windrow_server::store;
use windrow_server::watch::{Hub, Update, watch_selection};

use crate::support::cluster::Cluster;
use crate::support::{PATIENCE, Windrow, eventually};

/// After a crash Postgres reuses the ids of transactions that left nothing on disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_the_database_hides_no_change_from_a_watch() {
    // Only commits are flushed immediately.
    let mut cluster = Cluster::start_with(&["wal_writer_delay=10s"]).await;
    let url = cluster.create("windrow");
    let server = Windrow::start_on(&url, |_| {}).await;
    server.create("job").await;
    server.stop().await;
    // No server runs, because each commits something now and then.
    let pool = store::connect(url.parse().unwrap(), 4).await.unwrap();
    let hub = Arc::new(Hub::start(pool).await.unwrap());
    let (all, closing) = (RunFilter::default(), CancellationToken::new());
    let watch = watch_selection(Arc::clone(&hub), all, "", None, closing).await.unwrap();
    let mut updates = Box::pin(watch);
    assert!(matches!(updates.next().await, Some(Ok(Update::Synced(_)))));

    let crash = async {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        // Again if something was flushed before the hub has polled.
        while !burn(&mut connection).await {}
        cluster.kill();
        cluster.restart().await;
        let server = Windrow::start_on(&url, |_| {}).await;
        let run = server.trigger("job").await.job_id;
        let Some(Ok(Update::Changed(seen, _))) = updates.next().await else {
            panic!("no change comes");
        };
        let seen = &seen.run;
        assert_eq!((seen.spec.id.as_str(), seen.state.revision), (run.as_str(), 1));
        server.stop().await;
    };
    tokio::select! {
        done = timeout(PATIENCE, crash) => done.expect("the watch sends nothing"),
        () = hub.run(CancellationToken::new()) => {}
    }
}

/// Uses up transaction ids and waits until the hub has polled. Returns whether none of them is on disk.
async fn burn(connection: &mut PgConnection) -> bool {
    let lsn = "select pg_current_wal_insert_lsn()::text";
    let begin: String = sqlx::query_scalar(lsn).fetch_one(&mut *connection).await.unwrap();
    for _ in 0..100 {
        connection.execute("begin; select pg_current_xact_id(); rollback").await.unwrap();
    }
    wait_for_poll(connection).await;
    let flushed = "select pg_current_wal_flush_lsn() <= $1::text::pg_lsn";
    sqlx::query_scalar(flushed).bind(begin).fetch_one(connection).await.unwrap()
}

/// Waits for the hub's next read of the feed. It reads the horizon just before the events, hence the margin.
async fn wait_for_poll(connection: &mut PgConnection) {
    let now: DateTime<Utc> =
        sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut *connection).await.unwrap();
    let polled = "select exists (select from pg_stat_activity where pid <> pg_backend_pid()
        and query like '%run_event%' and query_start > $1 + interval '100 ms' and state = 'idle')";
    let connection = tokio::sync::Mutex::new(connection);
    eventually("the hub polls", async || {
        let mut connection = connection.lock().await;
        let found: bool =
            sqlx::query_scalar(polled).bind(now).fetch_one(&mut **connection).await.unwrap();
        if found { Ok(()) } else { Err("no poll") }
    })
    .await;
}
