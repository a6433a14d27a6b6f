//! Scheduled jobs.

use windrow_client::proto;

use super::details::details;
use super::escape::clean;
use super::runs::{runs_table, sample_note};
use super::settings::job_settings;
use super::table::{Column, table};
use super::{Layout, NONE, PageCount, counted};
use crate::json::word;

/// Jobs with warnings that a list names.
const MAX_WARNED: usize = 5;

/// LAST is the status of the run that ended last, and NEXT the time to the next tick. On a narrow terminal RUNS
/// is left out first, then NAME, SOURCE, LAST RUN, CRON, TIME ZONE, NEXT, LAST, STATUS.
pub(crate) fn jobs(layout: &Layout, jobs: &[proto::ScheduledJob], total: &PageCount) -> String {
    if jobs.is_empty() {
        return "No scheduled jobs match. Create one: windrow jobs create --help\n\
                Deleted jobs are listed with --show-deleted."
            .to_owned();
    }
    let columns = [
        Column::id("ID"),
        Column::state("STATUS", 1),
        Column::state("LAST", 2),
        Column::text("NEXT", 3),
        Column::text("CRON", 5),
        Column::text("TIME ZONE", 4),
        Column::text("LAST RUN", 6),
        Column::text("SOURCE", 7).if_any(),
        Column::text("NAME", 8),
        Column::number("RUNS", 9),
    ];
    let rows = jobs.iter().map(|job| {
        [
            job.scheduled_job_id.clone(),
            status(job),
            last_status(job),
            layout.relative(job.next_run_at.as_ref()),
            job.cron_expression.clone(),
            zone(job).to_owned(),
            layout.relative(job.last_run_at.as_ref()),
            source(job.parameters.as_ref()),
            job.name.clone(),
            job.run_count.to_string(),
        ]
    });
    let table =
        table(layout, columns, rows).with_footer(&total.footer("scheduled job", "scheduled jobs"));
    let note = sample_note(jobs.iter().map(|job| job.parameters.as_ref()));
    format!("{table}{note}{}", warnings_note(jobs))
}

/// A last line, because a list has no room for the warnings themselves.
fn warnings_note(jobs: &[proto::ScheduledJob]) -> String {
    let ids = jobs.iter().filter(|job| !job.warnings.is_empty());
    let ids: Vec<_> = ids.map(|job| clean(&job.scheduled_job_id)).collect();
    let shown = ids.iter().take(MAX_WARNED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match ids.len() {
        0 => String::new(),
        n @ 1..=MAX_WARNED => {
            let jobs = if n == 1 { "job has" } else { "jobs have" };
            format!("\n{n} {jobs} warnings: {shown}. Show them: windrow jobs get JOB")
        }
        n => format!("\n{n} jobs have warnings, such as {shown}. Show them: windrow jobs get JOB"),
    }
}

pub(crate) fn job_with_runs(layout: &Layout, response: &proto::GetScheduledJobResponse) -> String {
    let job = response.scheduled_job.clone().unwrap_or_default();
    let shown = response.job_runs.len();
    let runs = if response.job_runs.is_empty() {
        format!("No runs yet. Create one: windrow trigger {}", job.scheduled_job_id)
    } else {
        let total = usize::try_from(response.total_runs).unwrap_or_default();
        let more = total.saturating_sub(shown);
        let footer = if more == 0 {
            counted(shown, "run", "runs")
        } else {
            let id = &job.scheduled_job_id;
            format!("{shown} runs, {more} more: windrow runs list --job {id}")
        };
        runs_table(layout, &response.job_runs).with_footer(&footer)
    };
    format!("{}\n\n{runs}", job_details(layout, &job))
}

/// A job below a line about its change.
pub(crate) fn changed_job(layout: &Layout, lead: &str, job: &proto::ScheduledJob) -> String {
    format!("{lead}\n\n{}", job_details(layout, job))
}

fn job_details(layout: &Layout, job: &proto::ScheduledJob) -> String {
    let mut lines = vec![
        ("ID", job.scheduled_job_id.clone()),
        ("Name", job.name.clone()),
        ("Status", status(job)),
        ("Problem", job.problem.clone()),
        ("Pause reason", job.pause_reason.clone()),
        ("Paused until", optional_time(layout, job.paused_until.as_ref())),
        ("Schedule", format!("{} ({})", job.cron_expression, zone(job))),
        ("Next run", layout.time_and_distance(job.next_run_at.as_ref())),
        ("Last run", last_run(layout, job)),
        ("Runs", job.run_count.to_string()),
    ];
    let settings = job_settings(job).into_iter().filter(|setting| {
        let is_above = ["name", "cron_expression", "timezone"].contains(&setting.path);
        let is_unlimited = setting.path == "max_concurrent_runs" && job.max_concurrent_runs == 0;
        !is_above && !is_unlimited
    });
    lines.extend(settings.map(|setting| setting.detail()));
    lines.push(("Etag", job.etag.clone()));
    let note = sample_note(std::iter::once(job.parameters.as_ref()));
    format!("{}{note}", details(layout, lines))
}

fn last_run(layout: &Layout, job: &proto::ScheduledJob) -> String {
    if job.last_run_at.is_none() {
        return NONE.to_owned();
    }
    let at = layout.time_and_distance(job.last_run_at.as_ref());
    format!("{} {at} {}", last_status(job), job.last_run_job_id)
}

fn last_status(job: &proto::ScheduledJob) -> String {
    match job.last_run_status() {
        proto::ScrapingJobStatus::Unspecified => NONE.to_owned(),
        status => word(status.as_str_name(), "SCRAPING_JOB_STATUS_"),
    }
}

fn status(job: &proto::ScheduledJob) -> String {
    let status = word(job.status().as_str_name(), "SCHEDULED_JOB_STATUS_");
    let invalid = if job.problem.is_empty() { "" } else { "invalid, " };
    let deleted = if job.deleted_at.is_some() { ", deleted" } else { "" };
    format!("{invalid}{status}{deleted}")
}

fn zone(job: &proto::ScheduledJob) -> &str {
    if job.timezone.is_empty() { "UTC" } else { &job.timezone }
}

pub(super) fn source(parameters: Option<&proto::ScrapeParameters>) -> String {
    parameters.and_then(|parameters| parameters.source.clone()).unwrap_or_default()
}

fn optional_time(layout: &Layout, at: Option<&prost_types::Timestamp>) -> String {
    at.map(|at| layout.instant(at)).unwrap_or_default()
}
