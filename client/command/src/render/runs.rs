//! Runs: in lists, in detail, and live.

use windrow_client::proto::{self, ScrapingJobStatus};

use super::details::details;
use super::escape::clean;
use super::jobs::source;
use super::settings::parameter_settings;
use super::table::{Column, Table, table};
use super::{Layout, NONE, PageCount};
use crate::json::word;

pub(crate) fn runs(layout: &Layout, runs: &[proto::ScrapingJob], total: &PageCount) -> String {
    if runs.is_empty() {
        return "No runs match. Create one: windrow trigger JOB (ids: windrow jobs list -q)"
            .to_owned();
    }
    let table = runs_table(layout, runs).with_footer(&total.footer("run", "runs"));
    format!("{table}{}", sample_note(runs.iter().map(|run| run.parameters.as_ref())))
}

/// On a narrow terminal PRIORITY is left out first, then ORIGIN, SOURCE, SAVED, SCRAPED, WAITING FOR, TOOK,
/// AGE, FAILED, STATUS. FAILED is the number of failed locations.
pub(super) fn runs_table(layout: &Layout, runs: &[proto::ScrapingJob]) -> Table {
    let columns = [
        Column::id("JOB ID"),
        Column::state("STATUS", 1),
        Column::failures("FAILED", 2),
        Column::number("AGE", 3),
        Column::text("TOOK", 4),
        Column::number("SCRAPED", 6),
        Column::number("SAVED", 7),
        Column::text("SOURCE", 8).if_any(),
        Column::text("ORIGIN", 9),
        Column::text("PRIORITY", 10),
        Column::text("WAITING FOR", 5).if_any(),
    ];
    let rows = runs.iter().map(|run| {
        [
            run.job_id.clone(),
            status(run),
            run.failed_location_count.to_string(),
            layout.age(run.created_at.as_ref()),
            took(layout, run),
            run.properties_scraped.to_string(),
            run.properties_saved.to_string(),
            source(run.parameters.as_ref()),
            origin(run),
            priority(run),
            waiting_for(layout, run),
        ]
    });
    table(layout, columns, rows)
}

/// Runs of a live table: locations done and failed, rows scraped, and the time that a run takes, took or
/// waits. On a narrow terminal SCRAPED is left out first, then TIME, FAILED, DONE, STATUS.
pub(crate) fn live<'a>(
    layout: &Layout,
    runs: impl Iterator<Item = &'a proto::ScrapingJob>,
) -> String {
    let columns = [
        Column::id("JOB ID"),
        Column::state("STATUS", 1),
        Column::number("DONE", 2),
        Column::failures("FAILED", 3),
        Column::text("TIME", 4),
        Column::number("SCRAPED", 5),
        Column::text("SOURCE", 6).if_any(),
    ];
    let rows = runs.map(|run| {
        let start = run.started_at.as_ref().or(run.created_at.as_ref());
        [
            run.job_id.clone(),
            status(run),
            format!("{}/{}", run.completed_locations, run.total_locations),
            run.failed_location_count.to_string(),
            layout.span(start, run.completed_at.as_ref()),
            run.properties_scraped.to_string(),
            source(run.parameters.as_ref()),
        ]
    });
    table(layout, columns, rows).text
}

pub(crate) fn run(layout: &Layout, run: Option<&proto::ScrapingJob>) -> String {
    let Some(run) = run else { return NONE.to_owned() };
    let mut lines = vec![
        ("Job ID", run.job_id.clone()),
        ("Scheduled job", run.scheduled_job_id.clone()),
        ("Original run", run.original_job_id.clone()),
        ("Status", status(run)),
        ("Waiting for", waiting_for(layout, run)),
        ("Error", run.error_message.clone()),
        ("Progress", format!("{} of {} locations", run.completed_locations, run.total_locations)),
        ("Failed", failed_locations(run)),
        ("Result", counts(run)),
        ("Attempt", attempts(run)),
        ("Origin", origin(run)),
        ("Priority", priority(run)),
        ("Requested by", run.requested_by.clone()),
        ("Created", layout.time_and_distance(run.created_at.as_ref())),
        ("Available", later_start(layout, run)),
        ("Started", layout.time_and_distance(run.started_at.as_ref())),
        ("Ended", layout.time_and_distance(run.completed_at.as_ref())),
        ("Took", took(layout, run)),
        ("Worker", run.worker_id.clone()),
    ];
    let settings = parameter_settings(run.parameters.as_ref());
    lines.extend(settings.iter().map(super::Setting::detail));
    let labels = run.labels.iter().map(|(key, value)| format!("{key}={value}"));
    lines.push(("Labels", labels.collect::<Vec<_>>().join("; ")));
    let reason =
        |f: &proto::FailedLocation| ("Failed location", format!("{}: {}", f.location, f.reason));
    lines.extend(run.failed_locations.iter().map(reason));
    let note = sample_note(std::iter::once(run.parameters.as_ref()));
    format!("{}{note}", details(layout, lines))
}

/// The id of a new run between a line about its creation and the next commands.
pub(crate) fn run_id_lines(lead: &str, run: &proto::ScrapingJob, is_watched: bool) -> String {
    let id = &run.job_id;
    let note = sample_note(std::iter::once(run.parameters.as_ref()));
    if is_watched {
        return format!("{lead}\n{id}{note}");
    }
    format!("{lead}\n{id}\nWatch it: windrow watch {id}\nUndo: windrow runs cancel {id}{note}")
}

/// One line about a watched run.
pub(crate) fn progress(layout: &Layout, run: &proto::ScrapingJob) -> String {
    match run.status() {
        ScrapingJobStatus::Unspecified => "unknown status".to_owned(),
        ScrapingJobStatus::Pending => pending(layout, run),
        ScrapingJobStatus::Running => {
            let (done, total) = (run.completed_locations, run.total_locations);
            let failed = match run.failed_location_count {
                0 => String::new(),
                failed => format!(", {failed} failed"),
            };
            format!("running {done}/{total} locations{failed}, {} scraped", run.properties_scraped)
        }
        ScrapingJobStatus::Completed => format!("completed: {}", counts(run)),
        ScrapingJobStatus::Failed => format!("failed: {}", clean(&run.error_message)),
        ScrapingJobStatus::Cancelled => format!("cancelled: {}", counts(run)),
    }
}

fn pending(layout: &Layout, run: &proto::ScrapingJob) -> String {
    let (attempt, released) = (run.attempt, released_attempts(run));
    let state = match clean(&run.error_message) {
        _ if attempt == 0 => format!("pending since {}", layout.time(run.created_at.as_ref())),
        // Only a released attempt ends without an error.
        error if error.is_empty() => {
            format!("pending: the worker of attempt {attempt} stopped, and another attempt follows")
        }
        error => {
            let (counted, limit) = (attempt - released, run.max_attempts - released);
            format!("pending, attempt {counted} of {limit} failed: {error}")
        }
    };
    match waiting_for(layout, run) {
        reason if reason.is_empty() => state,
        reason => format!("{state}; waiting for {}", clean(&reason)),
    }
}

/// Attempts that a stopping worker returned. Each has added one to the limit of the policy.
fn released_attempts(run: &proto::ScrapingJob) -> i32 {
    let limit = run.policy.as_ref().and_then(|policy| policy.max_attempts);
    limit.map_or(0, |limit| run.max_attempts.saturating_sub(limit).max(0))
}

/// `2 of 4, 1 of which does not count: its worker stopped`
fn attempts(run: &proto::ScrapingJob) -> String {
    let attempts = format!("{} of {}", run.attempt, run.max_attempts);
    match released_attempts(run) {
        0 => attempts,
        1 => format!("{attempts}, 1 of which does not count: its worker stopped"),
        released => format!("{attempts}, {released} of which do not count: their workers stopped"),
    }
}

fn counts(run: &proto::ScrapingJob) -> String {
    let (failed, duplicates) = (run.failed_location_count, run.properties_duplicate);
    format!(
        "{} scraped, {} saved, {} unchanged, {duplicates} duplicate{}, {failed} failed location{}",
        run.properties_scraped,
        run.properties_saved,
        run.properties_skipped,
        if duplicates == 1 { "" } else { "s" },
        if failed == 1 { "" } else { "s" },
    )
}

/// A line of the log of a run.
pub(crate) fn log(layout: &Layout, line: &proto::ScrapingJobLog) -> String {
    let level = word(line.level().as_str_name(), "SCRAPING_JOB_LOG_LEVEL_");
    let location = match line.location.as_str() {
        "" => String::new(),
        location => format!(" [{}]", clean(location)),
    };
    // Most runs have one attempt, so the number of the first is not shown.
    let attempt = if line.attempt > 1 { format!("#{} ", line.attempt) } else { String::new() };
    let at = layout.time(line.logged_at.as_ref());
    format!("{at} {attempt}{level:<7}{location} {}", clean(&line.text))
}

/// A last line, so that nobody takes synthetic listings for real ones.
pub(super) fn sample_note<'a>(
    mut parameters: impl Iterator<Item = Option<&'a proto::ScrapeParameters>>,
) -> &'static str {
    let is_sample = |p: Option<&proto::ScrapeParameters>| {
        p.and_then(|p| p.source.as_deref()).is_some_and(|source| source == "sample")
    };
    if parameters.any(is_sample) {
        "\nThe source 'sample' generates sample data, not real listings."
    } else {
        ""
    }
}

pub(super) fn status(run: &proto::ScrapingJob) -> String {
    let status = word(run.status().as_str_name(), "SCRAPING_JOB_STATUS_");
    let is_cancelling = run.cancel_requested_at.is_some() && run.completed_at.is_none();
    if is_cancelling { format!("{status}, cancelling") } else { status }
}

fn failed_locations(run: &proto::ScrapingJob) -> String {
    match run.failed_location_count {
        0 => String::new(),
        count => format!(
            "{count} of {} locations; repeat them: windrow runs retry {}",
            run.total_locations, run.job_id
        ),
    }
}

/// Only if it is later than the creation of the run.
fn later_start(layout: &Layout, run: &proto::ScrapingJob) -> String {
    let created = run.created_at.map_or(0, |at| at.seconds);
    let later = run.available_at.filter(|at| at.seconds > created);
    later.map(|at| layout.time_and_distance(Some(&at))).unwrap_or_default()
}

fn origin(run: &proto::ScrapingJob) -> String {
    word(run.origin().as_str_name(), "SCRAPING_JOB_ORIGIN_")
}

fn priority(run: &proto::ScrapingJob) -> String {
    word(run.priority().as_str_name(), "SCRAPING_JOB_PRIORITY_")
}

fn waiting_for(layout: &Layout, run: &proto::ScrapingJob) -> String {
    run.pending_reason.as_ref().map(|it| layout.localized(&it.message)).unwrap_or_default()
}

fn took(layout: &Layout, run: &proto::ScrapingJob) -> String {
    match (&run.started_at, &run.completed_at) {
        (Some(start), Some(end)) => layout.span(Some(start), Some(end)),
        _ => NONE.to_owned(),
    }
}
