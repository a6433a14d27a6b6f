//! Statistics of a scheduled job.

use std::time::Duration;

use windrow_client::proto;

use super::details::details;
use super::{Layout, NONE, layout};

pub(crate) fn stats(layout: &Layout, stats: &proto::GetScheduledJobStatsResponse) -> String {
    details(
        layout,
        vec![
            ("Since", layout.time_and_distance(stats.window_start.as_ref())),
            ("Completed", stats.completed_runs.to_string()),
            ("Failed", stats.failed_runs.to_string()),
            ("Cancelled", stats.cancelled_runs.to_string()),
            ("Active", stats.active_runs.to_string()),
            ("Success rate", percent(stats.success_rate)),
            ("Average", duration(stats.average_duration.as_ref())),
            ("Median", duration(stats.p50_duration.as_ref())),
            ("95th percentile", duration(stats.p95_duration.as_ref())),
            ("Scraped", stats.properties_scraped.to_string()),
            ("Saved", stats.properties_saved.to_string()),
            ("Last success", layout.time_and_distance(stats.last_success_at.as_ref())),
        ],
    )
}

fn percent(rate: Option<f64>) -> String {
    rate.map_or_else(|| NONE.to_owned(), |rate| format!("{:.1} %", rate * 100.0))
}

/// In whole milliseconds.
fn duration(duration: Option<&prost_types::Duration>) -> String {
    let duration = duration.and_then(|duration| Duration::try_from(*duration).ok());
    let Some(duration) = duration else { return NONE.to_owned() };
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    layout::duration(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_figures_are_dashes() {
        let layout = Layout::fixed(None, 0);
        let nothing = stats(&layout, &proto::GetScheduledJobStatsResponse::default());
        assert!(nothing.contains("Success rate:") && !nothing.contains('%'), "{nothing}");
        let some = proto::GetScheduledJobStatsResponse {
            success_rate: Some(2.0 / 3.0),
            p50_duration: Some(prost_types::Duration { seconds: 62, nanos: 5_999_999 }),
            ..Default::default()
        };
        let some = stats(&layout, &some);
        assert!(some.contains("66.7 %") && some.contains("1m 2s 5ms"), "{some}");
    }
}
