//! The command `windrow`, as a user types it.

use std::process::Output;

use serde_json::Value;

use crate::support::program;
use crate::support::{QUICK, SLOW, Windrow, job, parameters};
use windrow_client::proto;

pub(super) async fn run(address: &str, arguments: &[&str]) -> Output {
    let (address, arguments): (String, Vec<String>) =
        (address.to_owned(), arguments.iter().map(ToString::to_string).collect());
    let run = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        program::windrow(&address, &arguments)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

pub(super) fn stdout(output: &Output) -> String {
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
    assert_eq!(answers[0]["status"], "pending");
    let last = answers.last().unwrap();
    assert_eq!(last["kind"], "changed");
    assert_eq!(last["scraping_job"]["status"], "completed");
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

    let export = async |format: &[&str]| {
        stdout(&run(&address, &[&["properties", "export"], format].concat()).await)
    };
    let (ids, yaml) = (export(&["-q"]).await, export(&["-o", "yaml"]).await);
    let listed_ids = stdout(&run(&address, &["properties", "list", "-q"]).await);

    assert_eq!((ids.lines().count(), &ids), (5, &listed_ids));
    assert_eq!((yaml.matches("---\n").count(), yaml.starts_with("---\n")), (5, true), "{yaml}");
    assert!(yaml.contains(&format!("\nproperty_id: {id}\n")), "{yaml}");
    assert!(listed.contains("5 properties"), "{listed}");
    assert_eq!((exported.lines().count(), &first["body"]["sample"]), (5, &Value::from(true)));
    assert!(shown.contains(id) && shown.contains("No changes since"), "{shown}");
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
    assert_eq!(wrong.status.code(), Some(2));
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(said.contains("scheduled_job.cron_expression"), "{said}");
    windrow.stop().await;
}

#[tokio::test]
async fn changes_say_what_happened_and_how_to_undo_it() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let address = windrow.address();
    let lead = async |arguments: &[&str]| {
        stdout(&run(&address, arguments).await).lines().next().unwrap().to_owned()
    };

    let dry = lead(&["jobs", "update", "job", "--cron", "@daily", "--dry-run"]).await;
    let changed = lead(&["jobs", "update", "job", "--cron", "@daily"]).await;
    let paused = lead(&["jobs", "pause", "job"]).await;
    let would_delete = lead(&["jobs", "delete", "job", "--dry-run"]).await;
    let deleted = lead(&["jobs", "delete", "job"]).await;

    assert_eq!(dry, "Dry run: would change cron_expression of scheduled job job");
    assert!(changed.contains("Undo: windrow jobs update job --cron "), "{changed}");
    assert_eq!(paused, "Paused scheduled job job. Undo: windrow jobs resume job");
    assert_eq!(would_delete, "Dry run: would delete scheduled job job");
    assert!(deleted.ends_with("Undo: windrow jobs undelete job"), "{deleted}");
    windrow.stop().await;
}

#[tokio::test]
async fn every_setting_that_may_be_absent_can_be_unset() {
    // Except the source: this server has no default for it.
    let windrow = Windrow::start().await;
    let address = windrow.address();
    let create = ["jobs", "create", "job", "--name", "Job", "--cron", "0 0 1 1 *"];
    let plain = [&create[..], &["--location", "a", "--source", QUICK]].concat();
    stdout(&run(&address, &plain).await);
    let before = windrow.get_job("job").await;
    let given = "timezone=Europe/Warsaw priority=high label=a=b max-concurrent-runs=2 listing-type=sold \
        past-days=3 radius=2.5 limit=9 request-delay=2s full-scrape=true max-attempts=5 \
        initial-backoff=2s backoff-factor=3 max-backoff=9s backoff-jitter=0.1 attempt-timeout=9m run-timeout=9h \
        lease-duration=1m overlap=queue catch-up=all catch-up-limit=7 catch-up-window=9d catch-up-grace=5s jitter=1s";
    let given: Vec<_> = given.split_whitespace().map(|one| one.split_once('=').unwrap()).collect();
    let set = given.iter().map(|(flag, value)| format!("--{flag}={value}"));
    let unset = given.iter().map(|(flag, _)| format!("--unset={flag}"));
    let update = async |flags: Vec<String>| {
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        stdout(&run(&address, &[&["jobs", "update", "job"], &flags[..]].concat()).await);
        windrow.get_job("job").await
    };

    let changed = update(set.collect()).await;
    let after = update(unset.collect()).await;

    assert_ne!(changed.policy, before.policy);
    let settings = |job: &proto::ScheduledJob| proto::ScheduledJob {
        etag: String::new(),
        updated_at: None,
        next_run_at: None,
        ..job.clone()
    };
    assert_eq!(settings(&after), settings(&before));
    windrow.stop().await;
}

#[tokio::test]
async fn quiet_output_is_ids_for_other_commands() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let address = windrow.address();

    let triggered = stdout(&run(&address, &["trigger", "job", "-q"]).await);
    let runs = stdout(&run(&address, &["runs", "list", "--all", "-q"]).await);
    let jobs = stdout(&run(&address, &["jobs", "list", "-q"]).await);
    let none = stdout(&run(&address, &["jobs", "list", "--status", "paused"]).await);

    assert_eq!((runs, &*jobs), (triggered, "job\n"));
    assert!(none.starts_with("No scheduled jobs match"), "{none}");
    windrow.stop().await;
}

#[tokio::test]
async fn a_backfill_without_a_terminal_needs_yes() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let address = windrow.address();
    stdout(&run(&address, &["jobs", "update", "job", "--cron", "@hourly"]).await);
    let range =
        ["backfill", "job", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T02:30:00Z"];
    let backfill = async |flags: &[&str]| run(&address, &[&range, flags].concat()).await;

    let dry = stdout(&backfill(&["--dry-run"]).await);
    let refused = backfill(&[]).await;
    let created = stdout(&backfill(&["--yes"]).await);
    let again = stdout(&backfill(&["--yes"]).await);

    assert!(dry.ends_with("Dry run: would create 3 runs\n"), "{dry}");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("not a terminal: pass --yes to create runs"), "{said}");
    assert!(
        created.starts_with("Created 3 runs. Undo: windrow runs cancel --job job"),
        "{created}"
    );
    assert_eq!(again, "Nothing to do: all 3 ticks have runs\n");
    windrow.stop().await;
}

#[tokio::test]
async fn ticks_are_previewed_for_a_job_and_for_an_expression() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let address = windrow.address();
    let after = ["--after", "2026-01-01T00:00:00Z", "--count", "1", "-q"];
    let preview = async |flags: &[&str]| {
        stdout(&run(&address, &[&["preview"], flags, &after].concat()).await)
    };

    let of_job = preview(&["--job", "job"]).await;
    let of_expression = preview(&["--cron", "30 2 * * *", "--timezone", "America/New_York"]).await;

    assert_eq!(of_job.lines().count(), 1, "{of_job}");
    assert_eq!(of_expression, "2026-01-01T07:30:00Z\n");
    assert_eq!(run(&address, &["preview"]).await.status.code(), Some(2));
    windrow.stop().await;
}

#[test]
fn an_unreachable_server_is_named() {
    let output = program::windrow("127.0.0.1:1", &["runs", "list"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("cannot reach Windrow at 127.0.0.1:1"), "{said}");
}
