//! Events as objects, in the same shape for one run and for all runs.

use std::time::Duration;

use windrow_client::WatchEvent;
use windrow_client::proto::{ScrapingJob, WatchKind, WatchScrapingJobsResponse};

use crate::failure::Failure;
use crate::output::Output;

/// Shows an event. Returns false if the event is only about the connection.
pub(super) fn show_event(
    output: Output,
    event: &WatchEvent,
    resume_token: &str,
    feed_lag: Option<Duration>,
) -> Result<bool, Failure> {
    let kind = match event {
        WatchEvent::Current(_) => WatchKind::Current,
        WatchEvent::Changed(_) => WatchKind::Changed,
        WatchEvent::Left(_) => WatchKind::Left,
        WatchEvent::Synced => WatchKind::Synced,
        WatchEvent::Bookmark => WatchKind::Bookmark,
        _ => return Ok(false),
    };
    let object = object(kind, event.run(), resume_token, feed_lag);
    let ids: Vec<_> = event.run().map(|run| run.job_id.as_str()).into_iter().collect();
    output.show(&object, &ids, |_| String::new())?;
    Ok(true)
}

fn object(
    kind: WatchKind,
    run: Option<&ScrapingJob>,
    resume_token: &str,
    feed_lag: Option<Duration>,
) -> WatchScrapingJobsResponse {
    WatchScrapingJobsResponse {
        kind: kind.into(),
        scraping_job: run.cloned(),
        resume_token: resume_token.to_owned(),
        feed_lag: feed_lag.and_then(|lag| lag.try_into().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_kind_run_and_token() {
        let json = |object| {
            let json = crate::json::to_json(&object).unwrap();
            serde_json::from_str::<serde_json::Value>(&json).unwrap()
        };
        let run = ScrapingJob { job_id: "run".to_owned(), ..Default::default() };
        let changed = json(object(WatchKind::Changed, Some(&run), "t", None));
        let synced = json(object(WatchKind::Synced, None, "", None));
        assert_eq!(changed["kind"], "changed");
        assert_eq!(changed["resume_token"], "t");
        assert_eq!(changed["scraping_job"]["job_id"], "run");
        assert_eq!(synced, serde_json::json!({"kind": "synced", "resume_token": ""}));
    }
}
