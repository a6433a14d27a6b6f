//! The server as process 1 of a container, which is a PID namespace here.

use std::fs;
use std::process::{Command, Stdio};

use super::server;
use crate::support::database::new_database;
use crate::support::eventually;
use crate::support::program::{Process, command};

/// Leaves three orphans, waits until they have ended, and prints the number of zombies once it is low, or after
/// five seconds.
const ORPHANS: &str = r#"
[sources.orphans]
kind = "exec"
command = ["sh", "-c", '''for i in 1 2 3; do (setsid sleep 0.05 &); done
count() { zombies=$(cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z'); }
tries=0; sleep 0.2; count
while [ "$zombies" != 0 ] && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries+1)); count; done
echo "{\"property_id\": \"1\", \"zombies\": $zombies, \"first\": \"$(tr '\\0' ' ' </proc/1/cmdline)\"}"''']
"#;

/// Runs a program as process 1. `None` if that is not permitted here.
fn contained(program: &Command) -> Option<Command> {
    let unshare = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    let permitted = Command::new("unshare").args(unshare).arg("true").output();
    if !permitted.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: unshare --pid is not permitted");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(unshare).arg(program.get_program());
    Some(command)
}

#[test]
fn processes_that_programs_leave_behind_are_reaped() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("windrow.toml"), ORPHANS).unwrap();
    let Some(mut server) = contained(&command("windrow-server")) else { return };
    let output = server
        .args(["source", "check", "orphans", "--location", "x"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let row: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(row["zombies"], 0, "{output:?}");
    assert!(row["first"].as_str().unwrap().contains("windrow-server"), "{output:?}");
}

#[tokio::test]
async fn process_1_passes_signals_on_and_ends_like_the_server() {
    let url = new_database().await;
    let dir = tempfile::tempdir().unwrap();
    let direct = server(dir.path(), &url, "");
    let Some(mut contained) = contained(&direct) else { return };
    let flags = ["--listen", "127.0.0.1:0", "--database-url", &url];
    let log = fs::File::create(dir.path().join("log")).unwrap();
    let process = Process::spawn(
        contained.args(flags).current_dir(dir.path()).stdout(Stdio::null()).stderr(log),
    );
    let logged = |text: &str| {
        let log = fs::read_to_string(dir.path().join("log")).unwrap();
        if log.contains(text) { Ok(()) } else { Err(log) }
    };
    eventually("the server serves", async || logged("Serving on")).await;
    let id = process.id();
    let first = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();

    assert!(Command::new("kill").args(["-TERM", first.trim()]).status().unwrap().success());

    eventually("the server stops", async || logged("Stopped")).await;
    assert_eq!(process.wait(), Some(0));
}
