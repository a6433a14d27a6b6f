//! How a job's runs went, for people.

use windrow_client::proto;

use super::table::details;
use super::{NONE, time, time_and_ago};

pub(crate) fn stats(stats: &proto::GetScheduledJobStatsResponse) -> String {
    details(vec![
        ("Since", time(stats.window_start.as_ref())),
        ("Completed", stats.completed_runs.to_string()),
        ("Failed", stats.failed_runs.to_string()),
        ("Cancelled", stats.cancelled_runs.to_string()),
        ("Active", stats.active_runs.to_string()),
        ("Success rate", percent(stats.success_rate)),
        ("Average", duration(stats.average_duration.as_ref())),
        ("50 of 100 took", duration(stats.p50_duration.as_ref())),
        ("95 of 100 took", duration(stats.p95_duration.as_ref())),
        ("Scraped", stats.properties_scraped.to_string()),
        ("Saved", stats.properties_saved.to_string()),
        ("Last success", time_and_ago(stats.last_success_at.as_ref())),
    ])
}

fn percent(rate: Option<f64>) -> String {
    rate.map_or_else(|| NONE.to_owned(), |rate| format!("{:.1} %", rate * 100.0))
}

/// In whole milliseconds.
fn duration(duration: Option<&prost_types::Duration>) -> String {
    let read = duration.and_then(|duration| std::time::Duration::try_from(*duration).ok());
    let Some(read) = read else { return NONE.to_owned() };
    let whole = u64::try_from(read.as_millis()).unwrap_or(u64::MAX);
    humantime::format_duration(std::time::Duration::from_millis(whole)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_a_dash() {
        let nothing = stats(&proto::GetScheduledJobStatsResponse::default());
        assert!(nothing.contains("Success rate:") && !nothing.contains('%'), "{nothing}");
        let some = proto::GetScheduledJobStatsResponse {
            success_rate: Some(2.0 / 3.0),
            p50_duration: Some(prost_types::Duration { seconds: 62, nanos: 5_999_999 }),
            ..Default::default()
        };
        let some = stats(&some);
        assert!(some.contains("66.7 %") && some.contains("1m 2s 5ms"), "{some}");
    }
}
