//! What differs between two states of a job's settings, for people.

use std::collections::BTreeMap;

use console::style;
use windrow_client::proto;

use crate::text::{clean, parameter_lines, policy_lines, priority, tick_policy_lines};

/// The settings as text, by field; what is not set is not there.
pub(super) fn fields(job: Option<&proto::ScheduledJob>) -> BTreeMap<String, String> {
    let Some(job) = job else { return BTreeMap::new() };
    let zone = if job.timezone.is_empty() { "UTC" } else { job.timezone.as_str() };
    let mut fields = BTreeMap::from([
        ("name".to_owned(), job.name.clone()),
        ("cron_expression".to_owned(), job.cron_expression.clone()),
        ("timezone".to_owned(), zone.to_owned()),
        ("priority".to_owned(), priority(job)),
    ]);
    let named = |(name, value): (&str, String)| {
        (format!("parameters.{}", name.to_lowercase().replace(' ', "_")), value)
    };
    fields.extend(parameter_lines(job.parameters.as_ref()).into_iter().map(named));
    let of_policy = |(name, value): (&str, String)| {
        (format!("policy.{}", name.to_lowercase().replace(' ', "_")), value)
    };
    fields.extend(policy_lines(job.policy.as_ref()).into_iter().map(of_policy));
    let limit = (job.max_concurrent_runs > 0).then(|| job.max_concurrent_runs.to_string());
    fields.insert("max_concurrent_runs".to_owned(), limit.unwrap_or_default());
    let of_ticks = |(name, value): (&str, String)| {
        (name.to_lowercase().replace("catch-up ", "catch_up.").replace('-', "_"), value)
    };
    fields.extend(tick_policy_lines(job).into_iter().map(of_ticks));
    let label = |(key, value): (&String, &String)| (format!("labels.{key}"), format!("'{value}'"));
    fields.extend(job.labels.iter().map(label));
    fields.retain(|_, value| !value.is_empty());
    fields
}

/// The verb and the id, and below them what goes and what comes.
pub(super) fn shown(
    verb: &str,
    id: &str,
    before: Option<&proto::ScheduledJob>,
    after: Option<&proto::ScheduledJob>,
) -> String {
    let (old, new) = (fields(before), fields(after));
    let mut lines = vec![style(format!("{verb} {}", clean(id))).bold().to_string()];
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let (was, is) = (old.get(name), new.get(name));
        if was == is {
            continue;
        }
        let line = |sign: char, value: &String| format!("  {sign} {name}: {}", clean(value));
        lines.extend(was.map(|value| style(line('-', value)).red().to_string()));
        lines.extend(is.map(|value| style(line('+', value)).green().to_string()));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str, locations: &[&str]) -> proto::ScheduledJob {
        proto::ScheduledJob {
            name: name.to_owned(),
            cron_expression: "0 2 * * *".to_owned(),
            priority: proto::ScrapingJobPriority::Normal.into(),
            parameters: Some(proto::ScrapeParameters {
                locations: locations.iter().map(ToString::to_string).collect(),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn only_what_differs_is_shown() {
        console::set_colors_enabled(false);
        let (before, after) = (job("Old", &["a"]), job("New", &["a"]));
        let shown = shown("update", "x", Some(&before), Some(&after));
        assert_eq!(shown, "update x\n  - name: Old\n  + name: New");
    }

    #[test]
    fn history_and_status_are_no_difference() {
        let before = job("Same", &["a"]);
        let after = proto::ScheduledJob {
            status: proto::ScheduledJobStatus::Paused.into(),
            run_count: 7,
            etag: "v2".to_owned(),
            ..before.clone()
        };
        assert_eq!(fields(Some(&before)), fields(Some(&after)));
        assert_ne!(fields(Some(&before)), fields(Some(&job("Same", &["a", "b"]))));
    }
}
