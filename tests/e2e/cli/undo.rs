//! The undo command of an answer restores the job as it was before; an answer about no change has none.

use std::path::Path;
use std::process::Command;

use super::command::stdout;
use crate::support::{SLOW, Windrow, job, parameters, program};
use windrow_client::proto::{self, ScrapingJobStatus};

const PAUSE: &str = r"windrow jobs pause job --reason 'it'\''s down' --until 2099-01-01T00:00:00Z";

/// Runs a line in a shell that finds `windrow` and its server. Returns the first line of the answer.
fn lead(windrow: &Windrow, line: &str) -> String {
    let command = program::command("windrow");
    let directory = Path::new(command.get_program()).parent().unwrap();
    let shell = Command::new("/bin/sh")
        .args(["-c", line])
        .env("PATH", directory)
        .env("WINDROW_SERVER", windrow.address())
        .env_remove("WINDROW_OUTPUT")
        .output();
    stdout(&shell.unwrap()).lines().next().unwrap().to_owned()
}

/// The job without what every change of it changes.
async fn state(windrow: &Windrow) -> proto::ScheduledJob {
    let job = windrow.get_job("job").await;
    proto::ScheduledJob { etag: String::new(), updated_at: None, ..job }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_job_is_undone_by_the_command_in_its_answer() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    for prepare in ["windrow jobs resume job", "windrow jobs deactivate job", PAUSE] {
        lead(&windrow, prepare);
        for change in [
            "windrow jobs resume job",
            "windrow jobs deactivate job",
            "windrow jobs pause job",
            "windrow jobs pause job --reason other --until 2098-01-01T00:00:00Z",
            "windrow jobs delete job",
            "windrow jobs update job --cron @daily --radius 2 --name=-x --timezone UTC",
        ] {
            let before = state(&windrow).await;
            let said = lead(&windrow, change);
            let Some((_, undo)) = said.split_once("Undo: ") else {
                assert!(said.starts_with("Nothing changed: scheduled job job is "), "{said}");
                assert_eq!(state(&windrow).await, before, "{change}");
                continue;
            };
            assert_ne!(state(&windrow).await, before, "{change}");
            lead(&windrow, undo);
            assert_eq!(state(&windrow).await, before, "{change}, {undo}");
        }
    }
    windrow.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_without_an_effect_is_called_one_and_has_no_undo() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let check = |line: &str, nothing: &str| {
        assert_eq!(lead(&windrow, line), format!("Nothing changed: {nothing}"));
        let dry = lead(&windrow, &format!("{line} --dry-run"));
        assert_eq!(dry, format!("Dry run: would change nothing: {nothing}"));
    };
    let update = "windrow jobs update job --timezone UTC";
    check(update, "scheduled job job has these settings already");
    check("windrow jobs resume job", "scheduled job job is active already");
    lead(&windrow, PAUSE);
    check(PAUSE, "scheduled job job is paused already");
    lead(&windrow, "windrow jobs deactivate job");
    check("windrow jobs deactivate job", "scheduled job job is inactive already");
    lead(&windrow, "windrow jobs delete job");
    check("windrow jobs delete job", "scheduled job job is deleted already");
    windrow.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_undo_of_a_backfill_leaves_the_runs_of_other_backfills() {
    let windrow = Windrow::start().await;
    let hourly = proto::ScheduledJob {
        cron_expression: "@hourly".to_owned(),
        parameters: Some(parameters(SLOW)),
        ..job("job")
    };
    windrow.create_as(hourly).await.unwrap();
    let backfill = |day: u8| {
        let range = format!("--from 2026-01-0{day}T00:00:00Z --to 2026-01-0{day}T02:00:00Z");
        lead(&windrow, &format!("windrow backfill job --yes {range}"))
    };
    backfill(1);
    let second = backfill(2);
    backfill(3);

    lead(&windrow, second.split_once("Undo: ").unwrap().1);

    let runs = windrow.client.list_runs().job("job").filter("origin = backfill").await.unwrap();
    assert_eq!(runs.scraping_jobs.len(), 9);
    for run in runs.scraping_jobs {
        let is_cancelled =
            run.status() == ScrapingJobStatus::Cancelled || run.cancel_requested_at.is_some();
        let is_second = run.tick_at.unwrap().to_string().starts_with("2026-01-02");
        assert_eq!(is_cancelled, is_second, "{run:?}");
    }
    windrow.stop().await;
}
