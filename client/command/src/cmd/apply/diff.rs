//! Differences between two states of the settings of a job, for people.

use std::collections::BTreeMap;

use console::style;
use windrow_client::proto::ScheduledJob;

use crate::render::{clean, job_settings};

/// The settings that are set, by path.
pub(super) fn settings(job: Option<&ScheduledJob>) -> BTreeMap<&'static str, String> {
    let settings = job.map(job_settings).unwrap_or_default();
    let texts = settings.iter().map(|setting| (setting.path, setting.text()));
    texts.filter(|(_, text)| !text.is_empty()).collect()
}

/// The verb and the id, and below them the old and new values of the settings that differ.
pub(super) fn text(
    verb: &str,
    id: &str,
    before: Option<&ScheduledJob>,
    after: Option<&ScheduledJob>,
) -> String {
    let (old, new) = (settings(before), settings(after));
    let mut lines = vec![style(format!("{verb} {}", clean(id))).bold().to_string()];
    let mut paths: Vec<_> = old.keys().chain(new.keys()).collect();
    paths.sort();
    paths.dedup();
    for path in paths {
        let (was, is) = (old.get(path), new.get(path));
        if was == is {
            continue;
        }
        let line = |sign: char, value: &String| format!("  {sign} {path}: {}", clean(value));
        lines.extend(was.map(|value| style(line('-', value)).red().to_string()));
        lines.extend(is.map(|value| style(line('+', value)).green().to_string()));
    }
    lines.join("\n")
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
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn only_differences_are_shown() {
        console::set_colors_enabled(false);
        let (before, after) = (job("Old", &["a"]), job("New", &["a"]));
        let shown = text("update", "x", Some(&before), Some(&after));
        assert_eq!(shown, "update x\n  - name: Old\n  + name: New");
    }

    #[test]
    fn history_and_status_are_no_difference() {
        let before = job("Same", &["a"]);
        let after = ScheduledJob {
            status: ScheduledJobStatus::Paused.into(),
            run_count: 7,
            etag: "v2".to_owned(),
            ..before.clone()
        };
        assert_eq!(settings(Some(&before)), settings(Some(&after)));
        assert_ne!(settings(Some(&before)), settings(Some(&job("Same", &["a", "b"]))));
    }
}
