//! Answers as text for people: aligned tables, details, and the lines of a watch. Times are UTC.

mod live;
mod policy;
mod properties;
mod stats;
mod table;
mod ticks;
mod times;

use std::collections::BTreeMap;

use windrow_client::proto;

pub(crate) use live::live;
pub(crate) use policy::policy_lines;
pub(crate) use properties::{properties, property_with_changes};
pub(crate) use stats::stats;
pub(crate) use table::clean;
use table::{details, table};
pub(crate) use ticks::{backfilled, decided_ticks, explanation, ticks};
use times::{ago, instant, time, time_and_ago};

const NONE: &str = "-";

pub(crate) fn jobs(answer: &proto::ListScheduledJobsResponse) -> String {
    let header = ["ID", "NAME", "STATUS", "CRON", "NEXT RUN", "LAST RUN", "RUNS"];
    let rows = answer.scheduled_jobs.iter().map(|job| {
        [
            job.scheduled_job_id.clone(),
            format!("{}{}", job.name, sample_mark(job.parameters.as_ref())),
            job_status(job),
            job.cron_expression.clone(),
            ago(job.next_run_at.as_ref()),
            ago(job.last_run_at.as_ref()),
            job.run_count.to_string(),
        ]
    });
    let shown = answer.scheduled_jobs.len();
    let counted = format!("{shown} of {} scheduled jobs", answer.total);
    format!("{}\n{}", table(header, rows), page_end(&counted, &answer.next_page_token))
}

pub(crate) fn runs(answer: &proto::ListScrapingJobsResponse) -> String {
    let more = if answer.total_is_lower_bound { "more than " } else { "" };
    let counted = format!("{} of {more}{} runs", answer.scraping_jobs.len(), answer.total);
    let end = page_end(&counted, &answer.next_page_token);
    format!("{}\n{end}", runs_table(&answer.scraping_jobs))
}

pub(crate) fn job_with_runs(answer: &proto::GetScheduledJobResponse) -> String {
    let counted = format!("{} of {} runs", answer.job_runs.len(), answer.total_runs);
    let job = job(answer.scheduled_job.as_ref());
    if answer.job_runs.is_empty() {
        return format!("{job}\n\n{counted}");
    }
    format!("{job}\n\n{}\n{counted}", runs_table(&answer.job_runs))
}

pub(crate) fn job(job: Option<&proto::ScheduledJob>) -> String {
    let Some(job) = job else { return NONE.to_owned() };
    let zone = if job.timezone.is_empty() { "UTC" } else { job.timezone.as_str() };
    let mut lines = vec![
        ("Id", job.scheduled_job_id.clone()),
        ("Name", job.name.clone()),
        ("Status", job_status(job)),
        ("Problem", job.problem.clone()),
        ("Pause reason", job.pause_reason.clone()),
        ("Paused until", job.paused_until.as_ref().map(instant).unwrap_or_default()),
        ("Cron", format!("{} ({zone})", job.cron_expression)),
        ("Next run", time_and_ago(job.next_run_at.as_ref())),
        ("Last run", last_run(job)),
        ("Runs", job.run_count.to_string()),
        ("Priority", priority(job)),
    ];
    lines.extend(parameter_lines(job.parameters.as_ref()));
    lines.extend(policy_lines(job.policy.as_ref()));
    lines.extend(tick_policy_lines(job));
    let limit = job.max_concurrent_runs;
    let limit = (limit > 0).then(|| format!("{limit} {}", if limit == 1 { "run" } else { "runs" }));
    lines.push(("At once", limit.unwrap_or_default()));
    lines.push(("Labels", labels(&job.labels)));
    lines.push(("Etag", job.etag.clone()));
    details(lines)
}

/// What is done with late and overlapping ticks, as far as it is set.
pub(crate) fn tick_policy_lines(job: &proto::ScheduledJob) -> Vec<(&'static str, String)> {
    let word = |name: &str, prefix: &str| match short(name, prefix).as_str() {
        "unspecified" => String::new(),
        word => word.to_owned(),
    };
    let length = |length: Option<&prost_types::Duration>| {
        let length = length.and_then(|length| std::time::Duration::try_from(*length).ok());
        length.map(|length| humantime::format_duration(length).to_string()).unwrap_or_default()
    };
    let catch_up = job.catch_up.unwrap_or_default();
    vec![
        ("Overlap", word(job.overlap().as_str_name(), "OVERLAP_POLICY_")),
        ("Catch-up", word(catch_up.mode().as_str_name(), "CATCH_UP_MODE_")),
        ("Catch-up limit", catch_up.limit.map(|limit| limit.to_string()).unwrap_or_default()),
        ("Catch-up window", length(catch_up.window.as_ref())),
        ("Catch-up grace", length(catch_up.grace.as_ref())),
        ("Jitter", length(job.jitter.as_ref())),
    ]
}

pub(crate) fn run(run: Option<&proto::ScrapingJob>) -> String {
    let Some(run) = run else { return NONE.to_owned() };
    let mut lines = vec![
        ("Job id", run.job_id.clone()),
        ("Scheduled job", run.scheduled_job_id.clone()),
        ("Original job", run.original_job_id.clone()),
        ("Status", run_status(run)),
        ("Priority", short(run.priority().as_str_name(), "SCRAPING_JOB_PRIORITY_")),
        ("Origin", origin(run)),
        ("Requested by", run.requested_by.clone()),
        ("Created", time_and_ago(run.created_at.as_ref())),
        ("Available", run.available_at.as_ref().map(instant).unwrap_or_default()),
        ("Started", time_and_ago(run.started_at.as_ref())),
        ("Ended", time_and_ago(run.completed_at.as_ref())),
        ("Took", took(run)),
        ("Attempt", format!("{} of {}", run.attempt, run.max_attempts)),
        ("Done", format!("{} of {} locations", run.completed_locations, run.total_locations)),
        ("Result", counts(run)),
        ("Error", run.error_message.clone()),
        ("Waits for", wait(run)),
        ("Worker", run.worker_id.clone()),
    ];
    lines.extend(parameter_lines(run.parameters.as_ref()));
    lines.push(("Labels", labels(&run.labels)));
    let failed =
        |f: &proto::FailedLocation| ("Failed location", format!("{}: {}", f.location, f.reason));
    lines.extend(run.failed_locations.iter().map(failed));
    details(lines)
}

pub(crate) fn triggered(answer: &proto::TriggerJobResponse, watched: bool) -> String {
    let parameters = answer.scraping_job.as_ref().and_then(|run| run.parameters.as_ref());
    let message = format!("{}{}", clean(&answer.message), sample_mark(parameters));
    if answer.job_id.is_empty() {
        return format!("{message}\nChecked only: nothing was made.");
    }
    if watched {
        return format!("{message}\n{}", answer.job_id);
    }
    format!("{message}\n{}\nWatch it: windrow watch {}", answer.job_id, answer.job_id)
}

/// What many cancellations did.
pub(crate) fn cancelled(answer: &proto::CancelScrapingJobsResponse) -> String {
    let (pending, running) = (answer.cancelled, answer.cancel_requested);
    format!("Cancelled: {pending} pending; asked to stop: {running} running")
}

/// What many cancellations would do.
pub(crate) fn would_be_cancelled(answer: &proto::CancelScrapingJobsResponse) -> String {
    let (pending, running) = (answer.cancelled, answer.cancel_requested);
    format!("Would be cancelled: {pending} pending; would be asked to stop: {running} running")
}

/// A line of a run's log.
pub(crate) fn log(line: &proto::ScrapingJobLog) -> String {
    let level = short(line.level().as_str_name(), "SCRAPING_JOB_LOG_LEVEL_");
    let place = match line.location.as_str() {
        "" => String::new(),
        location => format!(" [{}]", clean(location)),
    };
    let at = line.logged_at.as_ref().map(instant).unwrap_or_default();
    format!("{at} {}{level:<7}{place} {}", attempt_mark(line.attempt), clean(&line.text))
}

/// The first attempt goes without saying.
fn attempt_mark(attempt: i32) -> String {
    if attempt > 1 { format!("#{attempt} ") } else { String::new() }
}

/// One line about a watched run.
pub(crate) fn progress(run: &proto::ScrapingJob) -> String {
    let line = match run.status() {
        proto::ScrapingJobStatus::Unspecified => "in an unknown state".to_owned(),
        proto::ScrapingJobStatus::Pending if run.attempt > 0 => {
            format!("pending again after attempt {}: {}", run.attempt, clean(&run.error_message))
        }
        proto::ScrapingJobStatus::Pending => format!("{} pending", time(run.created_at.as_ref())),
        proto::ScrapingJobStatus::Running => format!(
            "running {}/{} locations, {} scraped",
            run.completed_locations, run.total_locations, run.properties_scraped
        ),
        proto::ScrapingJobStatus::Completed => format!("completed: {}", counts(run)),
        proto::ScrapingJobStatus::Failed => format!("failed: {}", clean(&run.error_message)),
        proto::ScrapingJobStatus::Cancelled => format!("cancelled: {}", counts(run)),
    };
    format!("{line}{}", sample_mark(run.parameters.as_ref()))
}

/// What runs wait for has a column only where some do.
fn runs_table(runs: &[proto::ScrapingJob]) -> String {
    let header = ["JOB ID", "STATUS", "PRIORITY", "ORIGIN", "CREATED", "TOOK", "SCRAPED", "SAVED"];
    if runs.iter().all(|run| run.pending_reason.is_none()) {
        return table(header, runs.iter().map(run_cells));
    }
    let [id, status, priority, origin, created, took, scraped, saved] = header;
    let header = [id, status, priority, origin, created, took, scraped, saved, "WAITS FOR"];
    let with_wait = |run| {
        let [id, status, priority, origin, created, took, scraped, saved] = run_cells(run);
        [id, status, priority, origin, created, took, scraped, saved, wait(run)]
    };
    table(header, runs.iter().map(with_wait))
}

fn run_cells(run: &proto::ScrapingJob) -> [String; 8] {
    [
        run.job_id.clone(),
        format!("{}{}", run_status(run), sample_mark(run.parameters.as_ref())),
        short(run.priority().as_str_name(), "SCRAPING_JOB_PRIORITY_"),
        origin(run),
        ago(run.created_at.as_ref()),
        took(run),
        run.properties_scraped.to_string(),
        run.properties_saved.to_string(),
    ]
}

fn wait(run: &proto::ScrapingJob) -> String {
    run.pending_reason.as_ref().map(|wait| wait.message.clone()).unwrap_or_default()
}

/// What is to be scraped, a line for each field; empty where it is not set.
pub(crate) fn parameter_lines(
    parameters: Option<&proto::ScrapeParameters>,
) -> Vec<(&'static str, String)> {
    let Some(p) = parameters else { return Vec::new() };
    let kinds: Vec<_> =
        p.listing_types().map(|kind| short(kind.as_str_name(), "LISTING_TYPE_")).collect();
    vec![
        ("Locations", p.locations.join("; ")),
        ("Listing types", kinds.join(", ")),
        ("Past days", p.past_days.map(|n| n.to_string()).unwrap_or_default()),
        ("Radius", p.radius.map(|miles| format!("{miles} miles")).unwrap_or_default()),
        ("Limit", p.limit.map(|n| format!("{n} for each location")).unwrap_or_default()),
        ("Request delay", p.request_delay.map(|d| d.to_string()).unwrap_or_default()),
        (
            "Source",
            format!("{}{}", p.source.as_deref().unwrap_or_default(), sample_mark(parameters)),
        ),
        ("Full scrape", p.full_scrape.map(|full| full.to_string()).unwrap_or_default()),
    ]
}

pub(crate) fn priority(job: &proto::ScheduledJob) -> String {
    short(job.priority().as_str_name(), "SCRAPING_JOB_PRIORITY_")
}

fn labels(labels: &BTreeMap<String, String>) -> String {
    let label = |(key, value): (&String, &String)| format!("{key}={value}");
    labels.iter().map(label).collect::<Vec<_>>().join(", ")
}

/// Nobody shall take synthetic listings for real ones.
fn sample_mark(parameters: Option<&proto::ScrapeParameters>) -> &'static str {
    let source = parameters.and_then(|p| p.source.as_deref());
    if source == Some("sample") { " (sample data)" } else { "" }
}

fn job_status(job: &proto::ScheduledJob) -> String {
    let status = short(job.status().as_str_name(), "SCHEDULED_JOB_STATUS_");
    // What it is, is told with the job itself.
    let problem = if job.problem.is_empty() { "" } else { "problem, " };
    let deleted = if job.deleted_at.is_some() { ", deleted" } else { "" };
    format!("{problem}{status}{deleted}")
}

fn last_run(job: &proto::ScheduledJob) -> String {
    let Some(at) = &job.last_run_at else { return NONE.to_owned() };
    let status = short(job.last_run_status().as_str_name(), "SCRAPING_JOB_STATUS_");
    format!("{} {status} {}", instant(at), job.last_run_job_id)
}

fn run_status(run: &proto::ScrapingJob) -> String {
    let status = short(run.status().as_str_name(), "SCRAPING_JOB_STATUS_");
    let stopping = run.cancel_requested_at.is_some() && run.completed_at.is_none();
    if stopping { format!("{status}, cancelling") } else { status }
}

fn origin(run: &proto::ScrapingJob) -> String {
    short(run.origin().as_str_name(), "SCRAPING_JOB_ORIGIN_")
}

fn counts(run: &proto::ScrapingJob) -> String {
    format!(
        "scraped {}, saved {}, unchanged {}, duplicates {}, {} failed locations",
        run.properties_scraped,
        run.properties_saved,
        run.properties_skipped,
        run.properties_duplicate,
        run.failed_location_count
    )
}

fn took(run: &proto::ScrapingJob) -> String {
    let (Some(start), Some(end)) = (&run.started_at, &run.completed_at) else {
        return NONE.to_owned();
    };
    let seconds = u64::try_from(end.seconds.saturating_sub(start.seconds)).unwrap_or_default();
    humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
}

fn short(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}

fn page_end(counted: &str, next_page_token: &str) -> String {
    if next_page_token.is_empty() {
        return counted.to_owned();
    }
    format!("{counted}; next page: --page-token {next_page_token}")
}

#[cfg(test)]
mod tests;
