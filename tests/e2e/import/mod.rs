//! Import of the earlier system's data: 200 scheduled jobs and 20,000 runs with all its irregularities.

mod export;
mod formats;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use windrow_client::proto;

use self::export::{Expected, Export, JOBS, RUNS_EACH};
use crate::support::database::new_database;
use crate::support::{QUICK, Windrow, program};
use proto::{ScheduledJobStatus, ScrapingJobStatus};

const SETTINGS: &str = "[sources.quick]\nkind = \"sample\"\n";

#[tokio::test]
async fn jobs_and_runs_are_imported_as_exported() {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("windrow.toml"), SETTINGS).unwrap();
    let export = Export::write(dir.path(), seed);
    let url = new_database().await;
    let import = |flags: &[&str]| import(dir.path(), &url, &export, flags);

    let dry = import(&["--dry-run"]);
    let before = Windrow::start_on(&url, |_| {}).await;
    let listed = before.client.list_jobs().await.unwrap();
    assert_eq!(listed.total, 0, "a dry run writes nothing");
    before.stop().await;
    let first = import(&["--report", "report.txt"]);
    let again = import(&[]);

    let total = JOBS * RUNS_EACH;
    let refused = export.refused.len();
    for (output, runs) in [
        (&dry, format!("{total} read, {total} would be imported, 0 already existed")),
        (&first, format!("{total} read, {total} imported, 0 already existed")),
        (&again, format!("{total} read, 0 imported, {total} already existed")),
    ] {
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(text.contains(&format!("runs: {runs}")), "{text}");
        assert!(text.contains(&format!("other documents: {refused} rejected\n")), "{text}");
        assert!(text.contains(&format!("rejected: {refused}\n")), "{text}");
        for line in &export.refused {
            assert!(
                text.contains(&format!("runs.jsonl:{line}: ")),
                "line {line} is missing: {text}"
            );
        }
    }
    let report = std::fs::read_to_string(dir.path().join("report.txt")).unwrap();
    assert!(report.contains("unknown fields: batch ("), "{report}");
    let windrow = Windrow::start_on(&url, |_| {}).await;
    for (id, expected) in &export.expected {
        assert_is_as_expected(&windrow, id, expected).await;
    }
    let resumed = windrow.client.resume_job("job_6").await.unwrap();
    assert_eq!(resumed.next_run_at, None, "its expression is invalid");
    assert!(resumed.problem.contains("expected 5 fields, found 6"), "{}", resumed.problem);
    let id = export.expected.values().next().unwrap().runs.first().unwrap();
    let story = windrow.story(id).await;
    assert!(story.len() == 1 && story[0].completed_at.is_some(), "{story:#?}");
    windrow.stop().await;
}

#[test]
fn an_import_without_a_source_or_with_a_missing_file_fails() {
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
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && text.contains(expected), "{text}");
    };
    check(
        &import(&[]),
        "--source is required to select the source of the jobs; available sources: a, b, sample",
    );
    check(&import(&["--source", "c"]), "unknown source 'c'");
    check(&import(&["--source", "a"]), "none.jsonl: No such file");
}

#[tokio::test]
async fn an_imported_run_without_locations_can_be_triggered_with_locations() {
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
        // The runs come before the jobs they belong to.
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
    let detail = windrow.client.raw().get_scheduled_job(request).await.unwrap();
    let job = detail.scheduled_job.unwrap();
    let parameters = job.parameters.clone().unwrap();
    assert_eq!(job.name, expected.name, "{id}");
    assert_eq!(job.status(), expected.status, "{id}");
    assert_eq!(job.cron_expression, expected.cron_expression, "{id}");
    let is_valid = expected.cron_expression.split(' ').count() == 5;
    assert_eq!(job.problem.is_empty(), is_valid, "{id}: {}", job.problem);
    assert_eq!(parameters.locations, expected.locations, "{id}");
    assert_eq!(parameters.listing_types().collect::<Vec<_>>(), expected.listing_types, "{id}");
    assert_eq!(parameters.source.as_deref(), Some(QUICK));
    assert_eq!(job.run_count, expected.run_count, "{id}");
    let rows = i64::try_from(expected.runs.len()).unwrap();
    assert_eq!(detail.total_runs, rows, "{id}: run_count may include runs that were not exported");
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
