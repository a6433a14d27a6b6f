//! An export of the earlier system: 200 scheduled jobs and 20,000 runs with all its oddities, taken over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Output;

use chrono::Datelike;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use windrow_client::proto;
use windrow_server::clock::SystemClock;

use crate::support::database::new_database;
use crate::support::{QUICK, Windrow, program};
use proto::{ListingType, ScheduledJobStatus, ScrapingJobStatus};

const JOBS: usize = 200;
const RUNS_EACH: usize = 100;
const BEGIN: i64 = 1_735_689_600;
const SETTINGS: &str = "[sources.quick]\nkind = \"sample\"\n";

/// What the export says of a job.
#[derive(Debug, Default)]
struct Expected {
    name: String,
    status: ScheduledJobStatus,
    cron_expression: String,
    locations: Vec<String>,
    listing_types: Vec<ListingType>,
    run_count: i64,
    last_run_at: i64,
    last_run_status: ScrapingJobStatus,
    last_run_job_id: String,
    runs: BTreeSet<String>,
}

struct Export {
    jobs: PathBuf,
    runs: PathBuf,
    expected: BTreeMap<String, Expected>,
    /// Lines of `runs` that cannot be taken over.
    refused: Vec<usize>,
}

#[tokio::test]
async fn two_hundred_jobs_and_twenty_thousand_runs_are_taken_over_as_the_export_says() {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("windrow.toml"), SETTINGS).unwrap();
    let export = export(dir.path(), seed);
    let url = new_database().await;
    let import = |flags: &[&str]| import(dir.path(), &url, &export, flags);

    let dry = import(&["--dry-run"]);
    let before = Windrow::start_on(&url, |_| {}).await;
    let listed = before
        .client
        .list_scheduled_jobs(proto::ListScheduledJobsRequest::default())
        .await
        .unwrap();
    assert_eq!(listed.total, 0, "a dry run writes nothing");
    before.stop().await;
    let first = import(&["--report", "report.txt"]);
    let again = import(&[]);

    let total = JOBS * RUNS_EACH;
    let refused = export.refused.len();
    for (output, runs) in [
        (&dry, format!("{total} read, {total} would be imported, 0 there already")),
        (&first, format!("{total} read, {total} imported, 0 there already")),
        (&again, format!("{total} read, 0 imported, {total} there already")),
    ] {
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(said.contains(&format!("runs: {runs}")), "{said}");
        assert!(said.contains(&format!("refused: {refused}\n")), "{said}");
        for line in &export.refused {
            assert!(
                said.contains(&format!("runs.jsonl:{line}: ")),
                "line {line} is missing: {said}"
            );
        }
    }
    let report = std::fs::read_to_string(dir.path().join("report.txt")).unwrap();
    assert!(report.contains("fields without a meaning here: batch ("), "{report}");
    let windrow = Windrow::start_on(&url, |_| {}).await;
    for (id, expected) in &export.expected {
        assert_is_as_expected(&windrow, id, expected).await;
    }
    let id = export.expected.values().next().unwrap().runs.first().unwrap();
    let story = windrow.story(id).await;
    assert!(story.len() == 1 && story[0].completed_at.is_some(), "{story:#?}");
    windrow.stop().await;
}

#[test]
fn an_import_without_a_source_or_with_a_missing_file_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let two = "[sources.a]\nkind = \"sample\"\n[sources.b]\nkind = \"sample\"\n";
    std::fs::write(dir.path().join("windrow.toml"), two).unwrap();
    let data = tempfile::tempdir_in("/var/tmp").unwrap();
    program::open_to_all(data.path());
    let import = |flags: &[&str]| {
        program::command("windrow-server")
            .args(["import", "none.jsonl", "--data-dir"])
            .arg(data.path().join("data"))
            .args(flags)
            .current_dir(dir.path())
            .output()
            .unwrap()
    };
    let check = |output: &Output, expected: &str| {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(expected), "{said}");
    };
    check(
        &import(&[]),
        "say with --source which source the jobs shall use; there are: a, b, sample",
    );
    check(&import(&["--source", "c"]), "no source is named 'c'");
    check(&import(&["--source", "a"]), "none.jsonl: No such file");
}

#[tokio::test]
async fn an_imported_run_without_locations_can_be_triggered_with_some() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("windrow.toml"), SETTINGS).unwrap();
    let run = "{\"job_id\": \"immediate_1736000000_a\", \"status\": \"failed\"}";
    std::fs::write(dir.path().join("runs.json"), run).unwrap();
    let url = new_database().await;
    let output = program::command("windrow-server")
        .args(["import", "runs.json", "--database-url", &url])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let windrow = Windrow::start_on(&url, |_| {}).await;
    let trigger = async |locations: &[&str]| {
        let locations = locations.iter().map(ToString::to_string).collect();
        let request = proto::TriggerJobRequest {
            job_id: "immediate_1736000000_a".to_owned(),
            overrides: Some(proto::ScrapeParameters { locations, ..Default::default() }),
            ..Default::default()
        };
        windrow.trigger_as(request).await
    };

    let refused = trigger(&[]).await.unwrap_err();
    let made = trigger(&["46201"]).await.unwrap();

    assert_eq!(refused.field_violations()[0].field, "overrides.locations");
    assert_eq!(windrow.end(&made.job_id).await.status(), ScrapingJobStatus::Completed);
    windrow.stop().await;
}

fn import(dir: &Path, url: &str, export: &Export, flags: &[&str]) -> Output {
    program::command("windrow-server")
        .args(["import", "--database-url", url])
        // Runs before the jobs they name.
        .args([&export.runs, &export.jobs])
        .args(flags)
        .current_dir(dir)
        .output()
        .unwrap()
}

async fn assert_is_as_expected(windrow: &Windrow, id: &str, expected: &Expected) {
    let request = proto::GetScheduledJobRequest {
        scheduled_job_id: id.to_owned(),
        limit: 1_000,
        ..Default::default()
    };
    let detail = windrow.client.get_scheduled_job(request).await.unwrap();
    let job = detail.scheduled_job.unwrap();
    let parameters = job.parameters.clone().unwrap();
    assert_eq!(job.name, expected.name, "{id}");
    assert_eq!(job.status(), expected.status, "{id}");
    assert_eq!(job.cron_expression, expected.cron_expression, "{id}");
    assert_eq!(parameters.locations, expected.locations, "{id}");
    assert_eq!(parameters.listing_types().collect::<Vec<_>>(), expected.listing_types, "{id}");
    assert_eq!(parameters.source.as_deref(), Some(QUICK));
    assert_eq!(job.run_count, expected.run_count, "{id}");
    assert_eq!(detail.total_runs, expected.run_count, "{id}");
    assert_eq!(job.last_run_at.unwrap().seconds, expected.last_run_at, "{id}");
    assert_eq!(job.last_run_status(), expected.last_run_status, "{id}");
    assert_eq!(job.last_run_job_id, expected.last_run_job_id, "{id}");
    assert_eq!(job.next_run_at.is_some(), expected.status == ScheduledJobStatus::Active, "{id}");
    let runs: BTreeSet<String> = detail.job_runs.iter().map(|run| run.job_id.clone()).collect();
    assert_eq!(runs, expected.runs, "runs of {id}");
    let linked =
        |run: &proto::ScrapingJob| run.scheduled_job_id == id && run.completed_at.is_some();
    assert!(detail.job_runs.iter().all(linked), "{id}");
}

/// Writes an export and says what must come of it.
fn export(dir: &Path, seed: u64) -> Export {
    let mut dice = StdRng::seed_from_u64(seed);
    let (mut jobs, mut runs) = (Vec::new(), Vec::new());
    let mut expected = BTreeMap::new();
    for number in 0..JOBS {
        let (id, job, of_job) = scheduled_job(&mut dice, number, &mut runs);
        jobs.extend(job.map(|job| job.to_string()));
        expected.insert(id, of_job);
    }
    let mut refused = Vec::new();
    for bad in [
        "{\"job_id\": \"cut off",
        "{\"status\": \"completed\"}",
        "{\"job_id\": \"x_1736000000_a\", \"status\": \"exploded\"}",
        "{\"job_id\": \"has a space\", \"status\": \"failed\"}",
    ] {
        let at = dice.random_range(0..runs.len());
        runs.insert(at, bad.to_owned());
    }
    for (index, line) in runs.iter().enumerate() {
        if serde_json::from_str::<Value>(line).is_err()
            || ["{\"status\"", "\"exploded\"", "has a space"].iter().any(|bad| line.contains(bad))
        {
            refused.push(index + 1);
        }
    }
    let export =
        Export { jobs: dir.join("jobs.json"), runs: dir.join("runs.jsonl"), expected, refused };
    // As `mongoexport --jsonArray` has it.
    std::fs::write(&export.jobs, format!("[{}]\n", jobs.join(",\n"))).unwrap();
    std::fs::write(&export.runs, runs.join("\n")).unwrap();
    export
}

/// Half a year away, as a tick during the test would count.
fn distant_month() -> u32 {
    (SystemClock::uncorrected().month0() + 6) % 12 + 1
}

/// One job and its runs; the last part of its number says what is odd about it.
fn scheduled_job(
    dice: &mut StdRng,
    number: usize,
    lines: &mut Vec<String>,
) -> (String, Option<Value>, Expected) {
    let recurring = number % 20 == 3;
    let nowhere = number % 40 == 5;
    let old =
        if recurring { format!("recurring_{BEGIN}_{number:04x}") } else { format!("job_{number}") };
    let mut expected = Expected {
        name: format!("Job {number}"),
        status: ScheduledJobStatus::Active,
        cron_expression: format!("{} {} 1 {} *", number % 60, number % 24, distant_month()),
        locations: vec![format!("City {number}, IN"), "Carmel, IN".to_owned()],
        listing_types: vec![ListingType::Sold],
        ..Default::default()
    };
    for run in 0..RUNS_EACH {
        let own = number % 20 == 3 && run == 0;
        if !own {
            lines.push(run_line(dice, &old, run, recurring, &mut expected).to_string());
        }
    }
    let id = if recurring { format!("legacy_{old}") } else { old.clone() };
    if nowhere {
        expected.name.clone_from(&id);
        expected.status = ScheduledJobStatus::Inactive;
        "0 0 * * *".clone_into(&mut expected.cron_expression);
        expected.run_count = i64::try_from(RUNS_EACH).unwrap();
        return (id, None, expected);
    }
    if recurring {
        let (line, document) = recurring_job(&old, &mut expected);
        lines.push(line);
        return (id, document, expected);
    }
    let document = job_document(dice, number, &old, &mut expected);
    (id, Some(document), expected)
}

/// In `jobs`, with a schedule of its own, and itself the first run.
fn recurring_job(old: &str, expected: &mut Expected) -> (String, Option<Value>) {
    expected.runs.insert(old.to_owned());
    expected.run_count = i64::try_from(RUNS_EACH).unwrap();
    let document = json!({
        "job_id": old,
        "name": expected.name,
        "cron_expression": expected.cron_expression,
        "status": "completed",
        "locations": expected.locations,
        "listing_type": "sold",
        "created_at": BEGIN,
        "started_at": BEGIN,
        "completed_at": BEGIN + 60,
    });
    (document.to_string(), None)
}

fn job_document(dice: &mut StdRng, number: usize, old: &str, expected: &mut Expected) -> Value {
    expected.run_count = i64::try_from(RUNS_EACH + number).unwrap();
    let mut job = json!({
        "_id": { "$oid": format!("{number:024x}") },
        "scheduled_job_id": old,
        "name": expected.name,
        "status": "active",
        "cron_expression": expected.cron_expression,
        "locations": expected.locations,
        "listing_type": "sold",
        "run_count": expected.run_count,
        "last_run_at": moment(dice, expected.last_run_at),
        "last_run_status": expected.last_run_status.as_str_name().trim_start_matches("SCRAPING_JOB_STATUS_").to_lowercase(),
        "last_run_job_id": expected.last_run_job_id,
        "next_run_at": "2025-01-14T02:00:00",
        "timezone": null,
    });
    let mut set = |name: &str, value: Value| job[name] = value;
    match number % 10 {
        0 => set("run_count", json!(f64::from(u32::try_from(expected.run_count).unwrap()))),
        1 => {
            set("listing_types", json!(["FOR_SALE", "sold"]));
            expected.listing_types = vec![ListingType::ForSale, ListingType::Sold];
        }
        2 => {
            set("status", json!("Paused"));
            expected.status = ScheduledJobStatus::Paused;
        }
        4 => {
            set("run_count", Value::Null);
            set("last_run_at", Value::Null);
            set("last_run_status", Value::Null);
            expected.run_count = i64::try_from(RUNS_EACH).unwrap();
        }
        6 => {
            set("cron_expression", json!("0 0 2 * * *"));
            "0 0 * * *".clone_into(&mut expected.cron_expression);
            expected.status = ScheduledJobStatus::Inactive;
        }
        7 => {
            set("name", Value::Null);
            old.clone_into(&mut expected.name);
        }
        8 => {
            set("locations", json!("Fishers, IN"));
            expected.locations = vec!["Fishers, IN".to_owned()];
        }
        9 => {
            set("run_count", json!({ "$numberLong": expected.run_count.to_string() }));
            set("listing_type", Value::Null);
            expected.listing_types = Vec::new();
        }
        _ => {}
    }
    job
}

/// One run, an hour after the one before, in one of the forms that the old system wrote.
fn run_line(
    dice: &mut StdRng,
    job: &str,
    number: usize,
    recurring: bool,
    expected: &mut Expected,
) -> Value {
    let at =
        BEGIN + i64::try_from(number).unwrap() * 3_600 + i64::from(dice.random_range(0..600_u16));
    let kind =
        if recurring { "recurring" } else { ["scheduled", "triggered"][dice.random_range(0..2)] };
    let id = format!("{kind}_{job}_{at}_{:06x}", dice.random_range(0..0xff_ffff_u32));
    let status =
        ["completed", "failed", "cancelled", "Completed", "running"][dice.random_range(0..5)];
    let priority = ["immediate", "normal"][dice.random_range(0..2)];
    let mut run = json!({
        "job_id": id,
        "status": status,
        "priority": priority,
        "locations": expected.locations,
        "listing_type": "sold",
        "created_at": moment(dice, at),
        "started_at": moment(dice, at + 1),
        "completed_at": moment(dice, at + 120),
        "properties_scraped": 120.0,
        "properties_saved": "95",
        "batch": number,
    });
    let mut set = |name: &str, value: Value| run[name] = value;
    set(if recurring { "original_job_id" } else { "scheduled_job_id" }, json!(job));
    let mut started = at + 1;
    match dice.random_range(0..6) {
        0 => set("completed_at", Value::Null),
        1 => set("priority", Value::Null),
        2 => set("listing_types", json!(["sold"])),
        3 => set("properties_scraped", Value::Null),
        4 => {
            set("started_at", Value::Null);
            started = at + 120;
        }
        _ => {}
    }
    expected.last_run_at = started;
    expected.last_run_status = match status {
        "completed" | "Completed" => ScrapingJobStatus::Completed,
        "cancelled" => ScrapingJobStatus::Cancelled,
        _ => ScrapingJobStatus::Failed,
    };
    expected.last_run_job_id.clone_from(&id);
    expected.runs.insert(id);
    run
}

/// A time in one of its forms.
fn moment(dice: &mut StdRng, seconds: i64) -> Value {
    let text = prost_types::Timestamp { seconds, nanos: 0 }.to_string();
    match dice.random_range(0..5) {
        0 => json!(text.trim_end_matches('Z')),
        1 => json!({ "$date": text }),
        2 => json!({ "$date": { "$numberLong": (seconds * 1_000).to_string() } }),
        3 => json!(text.replace('T', " ").trim_end_matches('Z')),
        _ => json!(text),
    }
}
