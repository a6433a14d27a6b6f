//! The command `windrow` and the program `windrow-server`, as a user types them.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::program::{self, Program, open_to_all};
use crate::support::{QUICK, SLOW, Windrow, job, parameters};
use windrow_client::proto;

async fn run(address: &str, arguments: &[&str]) -> Output {
    let (address, arguments): (String, Vec<String>) =
        (address.to_owned(), arguments.iter().map(ToString::to_string).collect());
    let run = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        program::windrow(&address, &arguments)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test]
async fn a_job_is_created_triggered_watched_and_shown() {
    let windrow = Windrow::start().await;
    let address = windrow.address();
    let create = [
        "jobs",
        "create",
        "sold",
        "--name",
        "Sold",
        "--cron",
        "0 2 * * *",
        "--location",
        "Indianapolis, IN",
        "--listing-type",
        "sold",
        "--source",
        QUICK,
    ];
    assert!(stdout(&run(&address, &create).await).contains("0 2 * * *"));

    let watched = stdout(&run(&address, &["trigger", "sold", "--watch"]).await);
    let shown = stdout(&run(&address, &["jobs", "get", "sold"]).await);

    assert!(watched.contains("Triggered scheduled job 'Sold' to run immediately"), "{watched}");
    for status in ["pending", "running", "completed"] {
        assert!(watched.contains(status), "{status} is missing in {watched}");
    }
    assert!(shown.contains("triggered_sold_") && shown.contains("completed"), "{shown}");
    windrow.stop().await;
}

#[tokio::test]
async fn json_is_one_object_for_each_answer() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let address = windrow.address();

    let watched = stdout(&run(&address, &["--output", "json", "trigger", "job", "--watch"]).await);
    let listed = stdout(&run(&address, &["--output", "json", "runs", "list"]).await);

    let answers: Vec<Value> =
        watched.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers[0]["status"], "SCRAPING_JOB_STATUS_PENDING");
    let last = answers.last().unwrap();
    assert_eq!(last["status"], "SCRAPING_JOB_STATUS_COMPLETED");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["total"], 1);
    assert_eq!(listed["scraping_jobs"][0]["job_id"], answers[0]["job_id"]);
    windrow.stop().await;
}

#[tokio::test]
async fn what_was_found_is_listed_shown_and_exported() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let address = windrow.address();
    stdout(&run(&address, &["trigger", "job", "--watch"]).await);

    let listed = stdout(&run(&address, &["properties", "list", "--job", "job"]).await);
    let exported = stdout(&run(&address, &["properties", "export", "--source", QUICK]).await);
    let first: Value = serde_json::from_str(exported.lines().next().unwrap()).unwrap();
    let id = first["property_id"].as_str().unwrap();
    let shown = stdout(&run(&address, &["properties", "get", QUICK, id]).await);

    assert!(listed.contains("5 of 5 properties"), "{listed}");
    assert_eq!((exported.lines().count(), &first["body"]["sample"]), (5, &Value::from(true)));
    assert!(shown.contains(id) && shown.contains("0 of 0 changes"), "{shown}");
    windrow.stop().await;
}

#[tokio::test]
async fn the_exit_code_says_what_happened() {
    let windrow = Windrow::start().await;
    let address = windrow.address();
    windrow.create("job").await;
    let slow = proto::ScheduledJob { parameters: Some(parameters(SLOW)), ..job("slow") };
    windrow.create_as(slow).await.unwrap();
    let slow = windrow.trigger("slow").await.job_id;
    let code = async |arguments: &[&str]| run(&address, arguments).await.status.code();

    assert_eq!(code(&["trigger", "job"]).await, Some(0));
    assert_eq!(code(&["trigger", "nope"]).await, Some(1));
    assert_eq!(code(&["triger"]).await, Some(2));
    assert_eq!(code(&["runs", "cancel", &slow]).await, Some(0));
    assert_eq!(code(&["watch", &slow]).await, Some(5));
    let wrong = run(&address, &["jobs", "update", "job", "--cron", "61 * * * *"]).await;
    assert_eq!(wrong.status.code(), Some(1));
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(said.contains("scheduled_job.cron_expression"), "{said}");
    windrow.stop().await;
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let output = program::windrow("127.0.0.1:1", &["runs", "list"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("cannot reach Windrow at 127.0.0.1:1"), "{said}");
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
    assert!(said(&none).contains("there are: bad, good, sample"), "{}", said(&none));
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
