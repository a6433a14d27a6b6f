//! A generated export of the earlier system.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use chrono::Datelike;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use windrow_client::proto::{ListingType, ScheduledJobStatus, ScrapingJobStatus};
use windrow_server::clock::SystemClock;

pub const JOBS: usize = 200;
pub const RUNS_EACH: usize = 100;
const BEGIN: i64 = 1_735_689_600;

/// The expected scheduled job after the import.
#[derive(Debug, Default)]
pub struct Expected {
    pub name: String,
    pub status: ScheduledJobStatus,
    pub cron_expression: String,
    pub locations: Vec<String>,
    pub listing_types: Vec<ListingType>,
    pub run_count: i64,
    pub last_run_at: i64,
    pub last_run_status: ScrapingJobStatus,
    pub last_run_job_id: String,
    pub runs: BTreeSet<String>,
}

/// Files of an export, and the expected result of importing them.
pub struct Export {
    pub jobs: PathBuf,
    pub runs: PathBuf,
    pub expected: BTreeMap<String, Expected>,
    /// Numbers of the lines of `runs` that cannot be imported.
    pub refused: Vec<usize>,
}

impl Export {
    /// Writes an export with random irregularities.
    pub fn write(dir: &Path, seed: u64) -> Self {
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
                || ["{\"status\"", "\"exploded\"", "has a space"]
                    .iter()
                    .any(|bad| line.contains(bad))
            {
                refused.push(index + 1);
            }
        }
        let export =
            Self { jobs: dir.join("jobs.json"), runs: dir.join("runs.jsonl"), expected, refused };
        // The format of `mongoexport --jsonArray`.
        std::fs::write(&export.jobs, format!("[{}]\n", jobs.join(",\n"))).unwrap();
        std::fs::write(&export.runs, runs.join("\n")).unwrap();
        export
    }
}

/// Half a year away, because a tick during the test would count as a run.
fn distant_month() -> u32 {
    (SystemClock::uncorrected().month0() + 6) % 12 + 1
}

/// One job and its runs. Its number decides its irregularity.
fn scheduled_job(
    dice: &mut StdRng,
    number: usize,
    lines: &mut Vec<String>,
) -> (String, Option<Value>, Expected) {
    let recurring = number % 20 == 3;
    let missing = number % 40 == 5;
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
    if missing {
        expected.name.clone_from(&id);
        expected.status = ScheduledJobStatus::Inactive;
        expected.cron_expression.clear();
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

/// A recurring job: a document in `jobs` with its own schedule, which is also its first run.
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
            "0 0 2 * * *".clone_into(&mut expected.cron_expression);
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

/// One run, an hour after the previous one, in one of the forms that the earlier system wrote.
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

/// A time in one of the forms that the earlier system wrote.
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
