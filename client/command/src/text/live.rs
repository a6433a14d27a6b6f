//! Runs while they are watched.

use windrow_client::proto;

use super::table::table;
use super::times::span;
use super::{run_status, sample_mark};

/// A line for each run: how many of its locations are done and failed, and what was scraped; the time is how
/// long it runs, ran, or waits.
pub(crate) fn live<'a>(runs: impl Iterator<Item = &'a proto::ScrapingJob>) -> String {
    let header = ["JOB ID", "STATUS", "TIME", "DONE", "FAILED", "SCRAPED"];
    let rows = runs.map(|run| {
        [
            run.job_id.clone(),
            format!("{}{}", run_status(run), sample_mark(run.parameters.as_ref())),
            span(run.started_at.as_ref().or(run.created_at.as_ref()), run.completed_at.as_ref()),
            format!("{}/{}", run.completed_locations, run.total_locations),
            run.failed_location_count.to_string(),
            run.properties_scraped.to_string(),
        ]
    });
    table(header, rows)
}
