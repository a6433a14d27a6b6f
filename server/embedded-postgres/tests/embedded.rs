//! Starts, stops, crashes and restarts of an embedded Postgres. Requires the Postgres binaries.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

mod support;

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, PgConnection};
use tokio_util::sync::CancellationToken;
use windrow_embedded_postgres::{Durability, EmbeddedPostgres, Error, Settings};

use self::support::{Place, Server, eventually};

/// The data directory of [`a_server_to_be_killed`].
const VICTIM_DIR: &str = "WINDROW_TEST_EMBEDDED_DIR";

#[tokio::test]
async fn data_survives_a_restart() {
    let place = Place::new();
    let first = place.start().await;
    write(&first, "kept").await;
    first.stop().await.unwrap();
    let second = place.start().await;
    assert_eq!(read(&second).await.unwrap(), "kept");
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_durable_cluster_forces_its_commits_to_disk() {
    let place = Place::new();
    let settings = Settings { durability: Durability::Durable, ..place.settings() };
    let postgres = EmbeddedPostgres::start(settings).await.unwrap();
    let mut connection = connect(&postgres).await.unwrap();
    for name in ["fsync", "synchronous_commit", "full_page_writes", "data_checksums"] {
        assert_eq!(setting(&mut connection, name).await, "on", "{name}");
    }
    assert_eq!(setting(&mut connection, "listen_addresses").await, "");
    assert_eq!(setting(&mut connection, "lc_collate").await, "C.UTF-8");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn changed_settings_reach_a_postgres_that_was_left_running() {
    let place = Place::new();
    drop(place.start().await);
    let settings = Settings { durability: Durability::Durable, ..place.settings() };
    let postgres = EmbeddedPostgres::start(settings).await.unwrap();
    let mut connection = connect(&postgres).await.unwrap();
    assert_eq!(setting(&mut connection, "fsync").await, "on");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_owner_is_rejected_with_directory_and_pid() {
    let place = Place::new();
    let owner = place.start().await;
    let rejected = EmbeddedPostgres::start(place.settings()).await.unwrap_err();
    assert!(matches!(rejected, Error::Owned { .. }), "{rejected}");
    let text = rejected.to_string();
    assert!(text.contains(place.dir.to_str().unwrap()), "{text}");
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    owner.stop().await.unwrap();
    place.start().await.stop().await.unwrap();
}

#[tokio::test]
async fn a_postgres_whose_server_was_killed_is_adopted_and_supervised() {
    let place = Place::new();
    let mut server = Server::start("a_server_to_be_killed", VICTIM_DIR, &place.dir);
    eventually(|| async { place.ready().exists() }).await;
    let pid = place.postmaster();
    server.kill();

    let begun = Instant::now();
    let adopted = place.start().await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(place.postmaster(), pid);
    assert_eq!(read(&adopted).await.unwrap(), "of the victim");
    restarts_after_a_kill(&place, &adopted).await;
    adopted.stop().await.unwrap();
}

/// Not a test by itself: the server that the test above kills.
#[tokio::test]
async fn a_server_to_be_killed() {
    let Some(dir) = std::env::var_os(VICTIM_DIR) else { return };
    let place = Place::at(Path::new(&dir));
    let postgres = place.start().await;
    write(&postgres, "of the victim").await;
    fs::write(place.ready(), "").unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_postgres_is_restarted_with_every_commit() {
    let place = Place::new();
    let settings = Settings { durability: Durability::Durable, ..place.settings() };
    let postgres = EmbeddedPostgres::start(settings).await.unwrap();
    write(&postgres, "kept").await;
    restarts_after_a_kill(&place, &postgres).await;
    assert_eq!(read(&postgres).await.unwrap(), "kept");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_stop_ends_supervision_and_restarts_nothing() {
    let place = Place::new();
    let postgres = place.start().await;
    let ((), stopped) = tokio::join!(postgres.supervise(CancellationToken::new()), postgres.stop());
    stopped.unwrap();
    assert!(!place.pid_file().exists());
    assert!(connect(&postgres).await.is_err());
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_path_that_is_too_long_for_a_socket_works() {
    let mut place = Place::new();
    place.dir = place.dir.join("long".repeat(30));
    let postgres = place.start().await;
    write(&postgres, "stored").await;
    assert_eq!(read(&postgres).await.unwrap(), "stored");
    let socket_dir = postgres.connect_options().get_socket().unwrap().clone();
    postgres.stop().await.unwrap();
    assert!(!socket_dir.starts_with(&place.dir));
    fs::remove_dir(socket_dir).unwrap();
}

#[tokio::test]
async fn a_stale_pid_file_that_names_a_running_process_does_not_block() {
    let place = Place::new();
    place.start().await.stop().await.unwrap();
    // With the user of Postgres: if such a process exists, Postgres refuses to start.
    let owner = fs::metadata(place.dir.join("postgres")).unwrap();
    let mut other = Command::new("sleep");
    other.arg("1000").current_dir("/");
    if rustix::process::geteuid().is_root() {
        other.uid(owner.uid()).gid(owner.gid());
    }
    let other = Server(other.spawn().unwrap());
    fs::write(place.pid_file(), format!("{}\n{}\n", other.0.id(), place.dir.display())).unwrap();
    let postgres = place.start().await;
    assert_ne!(place.postmaster(), Pid::from_child(&other.0));
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn an_unfinished_cluster_does_not_block() {
    let place = Place::new();
    let half = place.dir.join("initdb-0");
    fs::create_dir_all(half.join("base")).unwrap();
    fs::set_permissions(&place.dir, Permissions::from_mode(0o755)).unwrap();
    fs::write(half.join("PG_VERSION"), "15\n").unwrap();
    let postgres = place.start().await;
    assert_eq!(place.unfinished().count(), 0);
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_cancelled_start_does_not_affect_the_next() {
    let place = Place::new();
    let cancelled = EmbeddedPostgres::start(place.settings());
    tokio::select! {
        biased;
        _ = cancelled => panic!("the start was not cancelled"),
        () = eventually(|| async { place.unfinished().any(|dir| dir.join("base").exists()) }) => {}
    }
    let postgres = place.start().await;
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn data_of_another_major_version_is_rejected() {
    let place = Place::new();
    place.start().await.stop().await.unwrap();
    fs::write(place.dir.join("postgres/PG_VERSION"), "9\n").unwrap();
    let rejected = EmbeddedPostgres::start(place.settings()).await.unwrap_err();
    assert!(matches!(rejected, Error::Version { cluster: 9, .. }), "{rejected}");
}

#[tokio::test]
async fn missing_binaries_are_reported_with_the_package_to_install() {
    let place = Place::new();
    let settings = Settings { bin_dir: Some("/nowhere".into()), ..place.settings() };
    let text = EmbeddedPostgres::start(settings).await.unwrap_err().to_string();
    assert!(text.contains("/nowhere") && text.contains("apt-get install postgresql"), "{text}");
}

#[tokio::test]
async fn a_failed_start_shows_the_end_of_the_log() {
    let place = Place::new();
    place.start().await.stop().await.unwrap();
    fs::write(place.dir.join("postgres/postgresql.conf"), "no_such_setting = 1\n").unwrap();
    let text = EmbeddedPostgres::start(place.settings()).await.unwrap_err().to_string();
    assert!(text.contains("no_such_setting"), "{text}");
}

#[tokio::test]
async fn errors_of_statements_do_not_fill_the_disk() {
    let place = Place::new();
    let postgres = place.start().await;
    let path = place.dir.join("postgres.log");
    let mut log = OpenOptions::new().append(true).open(&path).unwrap();
    log.write_all(&vec![b'x'; 11 * 1024 * 1024]).unwrap();
    let stop = CancellationToken::new();
    let emptied = async {
        eventually(|| async { fs::metadata(&path).unwrap().len() < 1024 * 1024 }).await;
        stop.cancel();
    };
    tokio::join!(postgres.supervise(stop.clone()), emptied);
    let failing = sqlx::query("select 'no number'::int, 'a long statement'");
    failing.execute(&mut connect(&postgres).await.unwrap()).await.unwrap_err();
    let text = || fs::read_to_string(&path).unwrap();
    eventually(|| async { text().contains("invalid input syntax") }).await;
    assert!(!text().contains("a long statement"), "{}", text());
    postgres.stop().await.unwrap();
}

async fn restarts_after_a_kill(place: &Place, postgres: &EmbeddedPostgres) {
    let killed = place.postmaster();
    kill_process(killed, Signal::KILL).unwrap();
    let stop = CancellationToken::new();
    let back = async {
        eventually(|| async { place.try_postmaster().is_some_and(|pid| pid != killed) }).await;
        eventually(|| async { connect(postgres).await.is_ok() }).await;
        stop.cancel();
    };
    tokio::join!(postgres.supervise(stop.clone()), back);
}

async fn connect(postgres: &EmbeddedPostgres) -> sqlx::Result<PgConnection> {
    PgConnection::connect_with(&postgres.connect_options()).await
}

async fn write(postgres: &EmbeddedPostgres, text: &str) {
    let mut connection = connect(postgres).await.unwrap();
    sqlx::query("create table note (text text not null)").execute(&mut connection).await.unwrap();
    sqlx::query("insert into note values ($1)").bind(text).execute(&mut connection).await.unwrap();
}

async fn read(postgres: &EmbeddedPostgres) -> sqlx::Result<String> {
    sqlx::query_scalar("select text from note").fetch_one(&mut connect(postgres).await?).await
}

async fn setting(connection: &mut PgConnection, name: &str) -> String {
    let query = sqlx::query_scalar("select current_setting($1)").bind(name);
    query.fetch_one(connection).await.unwrap()
}
