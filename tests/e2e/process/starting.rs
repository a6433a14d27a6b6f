//! A start says what it waits for, and a signal ends it.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Instant;

use super::{processes_with, server};
use crate::support::program::{Process, command, open_to_all};
use crate::support::{PATIENCE, eventually};

/// A port where connections are accepted by the kernel, and nobody answers.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://me@{}/db", listener.local_addr().unwrap());
    (listener, url)
}

#[test]
fn a_database_that_never_answers_is_named_and_a_signal_ends_the_wait() {
    use std::io::{BufRead, BufReader, pipe};

    let (listener, url) = silent();
    let address = listener.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let (reader, writer) = pipe().unwrap();
    let process = Process::spawn(
        server(dir.path(), &url, "").args(["--listen", "127.0.0.1:0"]).stderr(writer),
    );
    let mut lines = BufReader::new(reader).lines().map_while(Result::ok);
    let said = lines.find(|line| line.contains("Waiting for the database")).unwrap();
    assert!(said.contains(&address), "{said}");

    let begin = Instant::now();
    assert_eq!(process.terminate(), Some(0));
    assert!(begin.elapsed() < PATIENCE / 10, "{:?}", begin.elapsed());
}

#[test]
fn a_database_that_never_answers_fails_the_start_with_its_address() {
    let (listener, url) = silent();
    let dir = tempfile::tempdir().unwrap();
    let output = server(dir.path(), &url, "").arg("migrate").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let address = listener.local_addr().unwrap().to_string();
    assert!(said.contains(&address) && said.contains("no answer within 10 s"), "{said}");
}

#[tokio::test]
async fn a_signal_during_the_first_start_leaves_nothing_running() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    open_to_all(dir.path());
    // While initdb works, and while Postgres starts.
    for step in ["initdb-", "postgres"] {
        let data = dir.path().join(step);
        let flags = ["--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()];
        let process = Process::spawn(command("windrow-server").args(flags).stderr(Stdio::null()));
        eventually("the step begins", async || {
            let entries = std::fs::read_dir(&data).into_iter().flatten().flatten();
            let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            if names.any(|name| name.starts_with(step)) { Ok(()) } else { Err(()) }
        })
        .await;

        assert_eq!(process.terminate(), Some(0), "{step}");
        eventually("no process is left", async || {
            let left = processes_with(data.to_str().unwrap());
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await;
    }
}

#[test]
fn a_user_without_a_name_gets_the_remedy() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    open_to_all(dir.path());
    let server = command("windrow-server");
    // The directory of the program may be closed to other users.
    let program = dir.path().join("windrow-server");
    std::fs::copy(server.get_program(), &program).unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::os::unix::fs::chown(&data, Some(54_321), Some(54_321)).ok();
    let output = std::process::Command::new("setpriv")
        .args(["--reuid", "54321", "--regid", "54321", "--clear-groups"])
        .arg(&program)
        .args(["--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()])
        .env_remove("DATABASE_URL")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("setpriv: ") {
        eprintln!("skipped, only root can become another user: {said}");
        return;
    }
    assert!(said.contains("uid 54321 has none") && said.contains("DATABASE_URL"), "{said}");
}
