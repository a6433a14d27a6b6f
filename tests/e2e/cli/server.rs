//! The program `windrow-server`, as an operator starts it.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::program::{self, Program, open_to_all};

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_new_embedded_directory_has_sample_jobs_and_survives_kill() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    open_to_all(dir.path());
    let data = dir.path().join("data");
    let flags = ["--data-dir", data.to_str().unwrap()];
    let mut server = Program::start(&flags, "", &[]);
    let watched =
        stdout(&program::windrow(&server.address, &["trigger", "sample_sold_daily", "--watch"]));
    assert!(watched.contains("completed"), "{watched}");

    server.process.kill();
    let again = Program::start(&flags, "", &[]);

    let listed = stdout(&program::windrow(&again.address, &["--output", "json", "jobs", "list"]));
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let jobs = listed["scheduled_jobs"].as_array().unwrap();
    let counts: Vec<_> = jobs
        .iter()
        .map(|job| (job["scheduled_job_id"].as_str(), job["run_count"].as_i64()))
        .collect();
    // An hourly tick may have come in between.
    assert_eq!(counts[1], (Some("sample_sold_daily"), Some(1)));
    assert_eq!((counts.len(), counts[0].0), (2, Some("sample_for_sale_hourly")));
    assert_eq!(again.process.terminate(), Some(0));
}

#[test]
fn an_embedded_postgres_that_dies_is_started_again() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    open_to_all(dir.path());
    let data = dir.path().join("data");
    let server = Program::start(&["--data-dir", data.to_str().unwrap()], "", &[]);
    let run = stdout(&program::windrow(
        &server.address,
        &["--output", "json", "trigger", "sample_sold_daily"],
    ));
    let run: Value = serde_json::from_str(&run).unwrap();
    let pid = std::fs::read_to_string(data.join("postgres/postmaster.pid")).unwrap();

    let killed = Command::new("kill").args(["-9", pid.lines().next().unwrap()]).status().unwrap();

    assert!(killed.success());
    let watched = program::windrow(&server.address, &["watch", run["job_id"].as_str().unwrap()]);
    assert!(stdout(&watched).contains("completed"), "{watched:?}");
    assert_eq!(server.process.terminate(), Some(0));
}

#[test]
fn a_bad_setting_is_named_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("windrow.toml"), "# mine\nlisten = \"nowhere\"\n").unwrap();

    let output = program::command("windrow-server").current_dir(dir.path()).output().unwrap();

    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("windrow.toml:2"), "{said}");
}

#[test]
fn a_source_can_be_tried_before_it_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let settings = r#"
        [sources.good]
        kind = "exec"
        command = ["sh", "-c", "echo '{\"property_id\": \"1\", \"price\": 7}'; echo hm >&2"]
        [sources.bad]
        kind = "exec"
        command = ["sh", "-c", "echo '{\"property_id\": \"1\"}'; exit 3"]
        [sources.remote]
        kind = "worker"
    "#;
    std::fs::write(dir.path().join("windrow.toml"), settings).unwrap();
    let check = |name: &str| {
        program::command("windrow-server")
            .args(["source", "check", name, "--location", "98001"])
            .current_dir(dir.path())
            .output()
            .unwrap()
    };
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();

    let (good, bad, none) = (check("good"), check("bad"), check("none"));

    let row: Value = serde_json::from_str(&stdout(&good)).unwrap();
    assert_eq!((&row["property_id"], &row["price"]), (&Value::from("1"), &Value::from(7)));
    assert!(said(&good).contains("hm") && said(&good).contains("1 rows"), "{}", said(&good));
    assert_eq!((bad.status.code(), none.status.code()), (Some(1), Some(1)));
    assert!(said(&bad).contains("after 1 rows"), "{}", said(&bad));
    assert!(said(&none).contains("can check: bad, good, sample"), "{}", said(&none));
    let remote = said(&check("remote"));
    assert!(remote.contains("\"remote\" has the kind worker: workers on other"), "{remote}");
}

#[test]
fn the_settings_in_force_are_shown_without_passwords() {
    let output = program::command("windrow-server")
        .args(["config", "--database-url", "postgres://me:hush@host/db", "--lease", "30s"])
        .output()
        .unwrap();

    let shown = stdout(&output);
    assert!(shown.contains("lease = \"30s\"") && shown.contains("--lease"), "{shown}");
    assert!(shown.contains("postgres://me:***@host/db"), "{shown}");
    assert!(!shown.contains("hush"), "{shown}");
}
