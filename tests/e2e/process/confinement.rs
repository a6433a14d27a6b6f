//! Programs of sources get nothing of the server but their request.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::program::{command, open_to_all};

const SPY: &str = include_str!("../scripts/spy.py");
/// An account that every system has, and that nothing runs as.
const USER: &str = "games";
const STRANGER: &str = "54321";
const PLANTED: &str = "planted-2f7c";

/// Whether this process can become another user.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A directory with settings, into which every user may look.
fn settings(keys: &str, program: &str) -> TempDir {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    open_to_all(dir.path());
    let settings = format!("[sources.spy]\nkind = \"exec\"\n{keys}\ncommand = {program}\n");
    fs::write(dir.path().join("windrow.toml"), settings).unwrap();
    dir
}

fn python(script: &str) -> String {
    format!("[\"python3\", \"-c\", '''{script}''']")
}

/// Checks the source, with a secret in the environment and with descriptors that the server inherits. `before` are
/// the program that becomes the server, and its arguments.
fn check(dir: &Path, before: &[&str]) -> Output {
    let server = command("windrow-server");
    // By descriptor, for its directory may be closed to other users.
    let script = "server=$1; shift; exec 7</etc/passwd 8<\"$server\" 9>/dev/null; exec \"$@\"";
    Command::new("bash")
        .args(["-c", script, "bash"])
        .arg(server.get_program())
        .args(before)
        .args(["/proc/self/fd/8", "source", "check", "spy", "--location", "x"])
        .current_dir(dir)
        .env("DATABASE_URL", format!("postgres://me:{PLANTED}@localhost/db"))
        .env("REGION", "north")
        .output()
        .unwrap()
}

fn row(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn assert_confined(output: &Output) {
    let row = row(output);
    assert_eq!(row["descriptors"], serde_json::json!(["0", "1", "2"]), "{row:#}");
    assert_eq!(row["status"]["NoNewPrivs"], "1", "{row:#}");
    let read = row["read"].as_object().unwrap();
    assert_eq!(read.len(), 8);
    for (place, result) in read {
        assert_eq!(result, "PermissionError", "{place}: {row:#}");
    }
    assert!(!row.to_string().contains(PLANTED), "{row:#}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("written by name"), "{output:?}");
}

#[test]
fn a_program_of_the_same_user_sees_nothing_of_the_server() {
    let dir = settings("pass_environment = [\"REGION\"]", &python(SPY));
    let stranger = ["setpriv", "--reuid", STRANGER, "--regid", STRANGER, "--clear-groups"];
    let output = check(dir.path(), if is_root() { &stranger } else { &[] });
    assert_confined(&output);
    assert_eq!(row(&output)["environment"]["REGION"], "north");
}

#[test]
fn a_program_of_another_user_has_its_rights_and_no_others() {
    if !is_root() {
        return;
    }
    let dir = settings(&format!("user = \"{USER}\""), &python(SPY));
    let output = check(dir.path(), &["setpriv", "--groups", "0,4"]);
    assert_confined(&output);
    let row = row(&output);
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let account = passwd.lines().find(|line| line.starts_with(&format!("{USER}:"))).unwrap();
    let account: Vec<&str> = account.split(':').collect();
    let [uid, gid] = [2, 3].map(|field| account[field].parse::<u32>().unwrap());
    assert_eq!(row["ids"], serde_json::json!([uid, uid, gid, gid]));
    assert_eq!(row["groups"], serde_json::json!([]));
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(row["status"][set], "0000000000000000", "{set}");
    }
    let environment = &row["environment"];
    assert_eq!((&environment["USER"], &environment["LOGNAME"]), (&USER.into(), &USER.into()));
    assert_eq!(environment["HOME"], account[5]);
    assert_eq!(environment["REGION"], Value::Null);
}

#[test]
fn a_user_that_cannot_be_is_named_at_the_start() {
    let refused = |user: &str, before: &[&str]| {
        let dir = settings(&format!("user = \"{user}\""), &python(SPY));
        let output = check(dir.path(), before);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    if is_root() {
        let said = refused("nosuch", &[]);
        assert!(
            said.contains("windrow.toml:3: source \"spy\": user \"nosuch\" does not exist"),
            "{said}"
        );
        let said = refused(USER, &["setpriv", "--reuid", STRANGER, "--clear-groups"]);
        assert!(said.contains("needs a server that root runs"), "{said}");
    } else {
        assert!(refused(USER, &[]).contains("needs a server that root runs"));
    }
}

#[test]
fn a_program_gets_no_more_memory_than_its_limit() {
    let script = "print(len(bytearray(150 << 20)), file=__import__(\"sys\").stderr)";
    for (limit, expected) in [("100MiB", "MemoryError"), ("400MiB", "157286400")] {
        let dir = settings(&format!("max_memory = \"{limit}\""), &python(script));
        let output = check(dir.path(), &[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(expected), "{limit}: {said}");
        assert_eq!(output.status.success(), limit == "400MiB");
    }
}

#[test]
fn a_user_gets_no_more_processes_than_its_limit() {
    if !is_root() {
        return;
    }
    let script = r#"
import os, sys, time
started = 0
try:
    while started < 50:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        started += 1
except BlockingIOError:
    print("started", started, file=sys.stderr)
"#;
    let dir = settings(&format!("user = \"{USER}\"\nmax_processes = 6"), &python(script));
    let said = check(dir.path(), &[]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!((0..6).any(|started| said.contains(&format!("started {started}\n"))), "{said}");
}
