//! Differences between two states of the settings of a job.

use std::collections::BTreeSet;

use console::style;
use serde_json::{Value as Json, json};
use windrow_client::proto::ScheduledJob;

use crate::document::{Setting, settings};
use crate::failure::Failure;
use crate::render::clean;

/// A setting that differs; `None` where it is not set.
#[derive(Debug, PartialEq)]
pub(super) struct Difference {
    path: String,
    old: Option<Setting>,
    new: Option<Setting>,
}

/// The settings that differ. No job has no settings.
pub(super) fn differences(
    before: Option<&ScheduledJob>,
    after: Option<&ScheduledJob>,
) -> Result<Vec<Difference>, Failure> {
    let settings =
        |job: Option<&ScheduledJob>| job.map(settings).transpose().map(Option::unwrap_or_default);
    let (mut old, mut new) = (settings(before)?, settings(after)?);
    let paths: BTreeSet<String> = old.keys().chain(new.keys()).cloned().collect();
    let difference = |path: String| {
        let (old, new) = (old.remove(&path), new.remove(&path));
        (old != new).then_some(Difference { path, old, new })
    };
    Ok(paths.into_iter().filter_map(difference).collect())
}

impl Difference {
    pub(super) fn json(&self) -> Json {
        let value = |side: &Option<Setting>| side.as_ref().map(|setting| setting.json.clone());
        json!({"path": self.path, "old_value": value(&self.old), "new_value": value(&self.new)})
    }

    /// Lines for people. Of a list that is set before and after, only the entries that differ.
    pub(super) fn lines(&self) -> Vec<String> {
        let texts =
            |side: &Option<Setting>| side.as_ref().map_or_else(Vec::new, |it| it.texts.clone());
        let (old, new) = (texts(&self.old), texts(&self.new));
        let without = |list: &[String], other: &[String]| -> Vec<String> {
            list.iter().filter(|text| !other.contains(text)).cloned().collect()
        };
        let (removed, added) = (without(&old, &new), without(&new, &old));
        let is_reordered = removed.is_empty() && added.is_empty();
        let is_edited = !is_reordered && !old.is_empty() && !new.is_empty();
        let (old, new) = if is_edited { (removed, added) } else { (old, new) };
        let line = |sign: char, texts: &[String]| {
            let text = clean(&texts.join("; "));
            (!texts.is_empty()).then(|| format!("  {sign} {}: {text}", clean(&self.path)))
        };
        let old = line('-', &old).map(|line| style(line).red().to_string());
        old.into_iter().chain(line('+', &new).map(|line| style(line).green().to_string())).collect()
    }
}

#[cfg(test)]
mod tests {
    use windrow_client::proto::{ScheduledJobStatus, ScrapeParameters, ScrapingJobPriority};

    use super::*;

    fn job(name: &str, locations: &[&str]) -> ScheduledJob {
        ScheduledJob {
            name: name.to_owned(),
            cron_expression: "0 2 * * *".to_owned(),
            priority: ScrapingJobPriority::Normal.into(),
            parameters: Some(ScrapeParameters {
                locations: locations.iter().map(ToString::to_string).collect(),
                request_delay: Some(prost_types::Duration { seconds: 300, nanos: 0 }),
                ..Default::default()
            }),
            labels: [("team".to_owned(), name.to_owned())].into(),
            ..Default::default()
        }
    }

    fn lines(before: &ScheduledJob, after: Option<&ScheduledJob>) -> Vec<String> {
        console::set_colors_enabled(false);
        let found = differences(Some(before), after).unwrap();
        found.iter().flat_map(Difference::lines).collect()
    }

    #[test]
    fn only_differences_are_shown() {
        let (before, after) = (job("old", &["a", "b"]), job("new", &["b", "c"]));
        assert_eq!(
            lines(&before, Some(&after)),
            [
                "  - labels.team: old",
                "  + labels.team: new",
                "  - name: old",
                "  + name: new",
                "  - parameters.locations: a",
                "  + parameters.locations: c",
            ]
        );
        let found = differences(Some(&before), None).unwrap();
        let delay = found.iter().find(|it| it.path == "parameters.request_delay").unwrap();
        assert_eq!(delay.lines(), ["  - parameters.request_delay: 5m"]);
        let expected = json!({
            "path": "parameters.request_delay", "old_value": "300s", "new_value": null,
        });
        assert_eq!(delay.json(), expected);
    }

    #[test]
    fn order_and_separators_of_a_list_are_differences() {
        let check = |before: &[&str], after: &[&str], expected: &[&str]| {
            assert_eq!(lines(&job("x", before), Some(&job("x", after))), expected);
        };
        check(
            &["a", "b"],
            &["b", "a"],
            &["  - parameters.locations: a; b", "  + parameters.locations: b; a"],
        );
        check(
            &["a; b"],
            &["a", "b"],
            &["  - parameters.locations: a; b", "  + parameters.locations: a; b"],
        );
        check(&["a"], &["a"], &[]);
    }

    #[test]
    fn history_and_status_are_no_difference() {
        let before = job("same", &["a"]);
        let after = ScheduledJob {
            status: ScheduledJobStatus::Paused.into(),
            run_count: 7,
            etag: "v2".to_owned(),
            problem: "cron_expression: x".to_owned(),
            pause_reason: "Holidays".to_owned(),
            created_at: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
            ..before.clone()
        };
        assert_eq!(differences(Some(&before), Some(&after)).unwrap(), []);
    }
}
