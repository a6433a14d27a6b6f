//! Settings of jobs and runs: for details, for differences, and as flags that set them again.

use std::time::Duration;

use windrow_client::proto;

use super::layout::duration;
use crate::json::word;

/// A setting and its values as flags accept them; without values it is not set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    /// Path as in an update mask.
    pub(crate) path: &'static str,
    flag: &'static str,
    label: &'static str,
    values: Vec<String>,
}

impl Setting {
    /// Values on one line; empty if not set.
    pub(crate) fn text(&self) -> String {
        self.values.join("; ")
    }

    /// The flag without its dashes, by which `--unset` names the setting.
    pub(crate) fn word(&self) -> &'static str {
        self.flag.trim_start_matches('-')
    }

    /// `--cron '0 2 * * *'`; `None` if not set.
    pub(crate) fn flags(&self) -> Option<String> {
        let flags: Vec<_> = self.values.iter().map(|value| flag(self.flag, value)).collect();
        (!flags.is_empty()).then(|| flags.join(" "))
    }

    /// The flag without its dashes.
    pub(crate) fn flag_name(&self) -> &'static str {
        self.flag.trim_start_matches('-')
    }

    pub(super) fn detail(&self) -> (&'static str, String) {
        (self.label, self.text())
    }
}

/// The command line with its words quoted for a shell where necessary.
pub(crate) fn command_line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// `--cron '0 2 * * *'`: the flag and its value, quoted for a shell where necessary.
pub(crate) fn flag(name: &str, value: &str) -> String {
    // After a space, a value that starts with a dash would be another flag.
    let separator = if value.starts_with('-') { '=' } else { ' ' };
    format!("{name}{separator}{}", quoted(value))
}

/// All settings of a job, in the order in which they are shown.
pub(crate) fn job_settings(job: &proto::ScheduledJob) -> Vec<Setting> {
    let zone = if job.timezone.is_empty() { "UTC" } else { job.timezone.as_str() };
    let labels = job.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut settings = vec![
        one("name", "--name", "Name", &job.name),
        one("cron_expression", "--cron", "Cron", &job.cron_expression),
        one("timezone", "--timezone", "Time zone", zone),
        one("priority", "--priority", "Priority", &enum_word(job.priority().as_str_name())),
        Setting { path: "labels", flag: "--label", label: "Labels", values: labels },
        one(
            "max_concurrent_runs",
            "--max-concurrent-runs",
            "Max concurrent runs",
            &job.max_concurrent_runs.to_string(),
        ),
    ];
    settings.extend(parameter_settings(job.parameters.as_ref()));
    settings.extend(policy_settings(job.policy.as_ref()));
    settings.extend(tick_settings(job));
    settings
}

pub(super) fn parameter_settings(parameters: Option<&proto::ScrapeParameters>) -> Vec<Setting> {
    let p = parameters.cloned().unwrap_or_default();
    let types = p.listing_types().map(|kind| enum_word(kind.as_str_name())).collect();
    let locations = p.locations.clone();
    vec![
        Setting {
            path: "parameters.locations",
            flag: "--location",
            label: "Locations",
            values: locations,
        },
        Setting {
            path: "parameters.listing_types",
            flag: "--listing-type",
            label: "Listing types",
            values: types,
        },
        shown("parameters.past_days", "--past-days", "Past days", p.past_days),
        shown("parameters.radius", "--radius", "Radius in miles", p.radius),
        shown("parameters.limit", "--limit", "Listings per location", p.limit),
        length("parameters.request_delay", "--request-delay", "Request delay", p.request_delay),
        shown("parameters.source", "--source", "Source", p.source),
        shown("parameters.full_scrape", "--full-scrape", "Full scrape", p.full_scrape),
    ]
}

fn policy_settings(policy: Option<&proto::RunPolicy>) -> Vec<Setting> {
    let p = policy.copied().unwrap_or_default();
    vec![
        shown("policy.max_attempts", "--max-attempts", "Max attempts", p.max_attempts),
        length("policy.initial_backoff", "--initial-backoff", "Initial backoff", p.initial_backoff),
        shown("policy.backoff_factor", "--backoff-factor", "Backoff factor", p.backoff_factor),
        length("policy.max_backoff", "--max-backoff", "Max backoff", p.max_backoff),
        shown("policy.backoff_jitter", "--backoff-jitter", "Backoff jitter", p.backoff_jitter),
        length("policy.attempt_timeout", "--attempt-timeout", "Attempt timeout", p.attempt_timeout),
        length("policy.run_timeout", "--run-timeout", "Run timeout", p.run_timeout),
        length("policy.lease_duration", "--lease-duration", "Lease duration", p.lease_duration),
    ]
}

fn tick_settings(job: &proto::ScheduledJob) -> Vec<Setting> {
    let c = job.catch_up.unwrap_or_default();
    vec![
        one("overlap", "--overlap", "Overlap", &enum_word(job.overlap().as_str_name())),
        one("catch_up.mode", "--catch-up", "Catch-up", &enum_word(c.mode().as_str_name())),
        shown("catch_up.limit", "--catch-up-limit", "Catch-up limit", c.limit),
        length("catch_up.window", "--catch-up-window", "Catch-up window", c.window),
        length("catch_up.grace", "--catch-up-grace", "Catch-up grace", c.grace),
        length("jitter", "--jitter", "Jitter", job.jitter),
    ]
}

/// Not set if empty.
fn one(path: &'static str, flag: &'static str, label: &'static str, value: &str) -> Setting {
    shown(path, flag, label, Some(value).filter(|value| !value.is_empty()))
}

fn shown(
    path: &'static str,
    flag: &'static str,
    label: &'static str,
    value: Option<impl ToString>,
) -> Setting {
    let values = value.map(|value| value.to_string()).into_iter().collect();
    Setting { path, flag, label, values }
}

fn length(
    path: &'static str,
    flag: &'static str,
    label: &'static str,
    value: Option<prost_types::Duration>,
) -> Setting {
    let value = value.and_then(|value| Duration::try_from(value).ok()).map(duration);
    shown(path, flag, label, value)
}

/// The word of a value of one of the enums of settings; empty if unspecified.
fn enum_word(name: &str) -> String {
    let prefixes = ["SCRAPING_JOB_PRIORITY_", "LISTING_TYPE_", "OVERLAP_POLICY_", "CATCH_UP_MODE_"];
    let prefix = prefixes.into_iter().find(|prefix| name.starts_with(prefix)).unwrap_or_default();
    match word(name, prefix).as_str() {
        "unspecified" => String::new(),
        word => word.to_owned(),
    }
}

/// Quoted for a shell if necessary.
fn quoted(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@=,+".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_shown_as_the_flags_that_set_it() {
        let job = proto::ScheduledJob {
            cron_expression: "0 2 * * *".to_owned(),
            parameters: Some(proto::ScrapeParameters {
                locations: vec!["46220".to_owned(), "O'Fallon, IL".to_owned()],
                request_delay: Some(prost_types::Duration { seconds: 90, nanos: 0 }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let settings = job_settings(&job);
        let flags = |path: &str| settings.iter().find(|it| it.path == path).unwrap().flags();
        assert_eq!(flags("cron_expression").unwrap(), "--cron '0 2 * * *'");
        let locations = r"--location 46220 --location 'O'\''Fallon, IL'";
        assert_eq!(flags("parameters.locations").unwrap(), locations);
        assert_eq!(flags("parameters.request_delay").unwrap(), "--request-delay '1m 30s'");
        assert_eq!(flags("timezone").unwrap(), "--timezone UTC");
        assert_eq!((flags("parameters.radius"), flags("overlap")), (None, None));
        assert_eq!(flag("--name", "-x y"), "--name='-x y'");
    }
}
