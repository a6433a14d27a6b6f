//! What to scrape, as flags: the same ones for jobs, one-off runs and overrides of a trigger.

use clap::Args;
use windrow_client::proto;

use crate::policy::PolicyArgs;
use crate::tick_policy::TickPolicyArgs;
use crate::values::{duration, label, listing_type, priority};

/// Every flag is optional here; the server says what is missing.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ParameterArgs {
    /// Where to scrape, for example 'Indianapolis, IN' or a ZIP code; may be repeated.
    #[arg(long = "location")]
    pub(crate) locations: Vec<String>,
    /// Which listings; may be repeated. The source chooses unless given.
    #[arg(long = "listing-type", value_parser = listing_type())]
    pub(crate) listing_types: Vec<proto::ListingType>,
    /// Only listings changed in the last so many days.
    #[arg(long)]
    pub(crate) past_days: Option<i32>,
    /// Radius around each location in miles.
    #[arg(long)]
    pub(crate) radius: Option<f64>,
    /// At most so many listings for each location.
    #[arg(long)]
    pub(crate) limit: Option<i32>,
    /// Pause between two locations, for example 1s or 500ms.
    #[arg(long, value_parser = duration)]
    pub(crate) request_delay: Option<prost_types::Duration>,
    /// Name of the source; `sample` yields synthetic listings.
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// Read everything, and not only what changed since the last complete run.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) full_scrape: Option<bool>,
}

/// Settings of a scheduled job that both `create` and `update` take.
#[derive(Debug, Default, Args)]
pub(crate) struct JobArgs {
    /// Name for people.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Five-field cron expression, for example '0 6 * * *'.
    #[arg(long = "cron")]
    pub(crate) cron_expression: Option<String>,
    /// IANA time zone of the expression; UTC unless given.
    #[arg(long)]
    pub(crate) timezone: Option<String>,
    /// Priority of the job's runs.
    #[arg(long, value_parser = priority())]
    pub(crate) priority: Option<proto::ScrapingJobPriority>,
    /// A label, for example team=sales; may be repeated. Those that are given replace all.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// At most so many runs of the job at once; 0 is no limit.
    #[arg(long, value_name = "COUNT")]
    pub(crate) max_concurrent_runs: Option<i32>,
    #[command(flatten)]
    pub(crate) parameters: ParameterArgs,
    #[command(flatten)]
    pub(crate) policy: Box<PolicyArgs>,
    #[command(flatten)]
    pub(crate) ticks: Box<TickPolicyArgs>,
}

impl ParameterArgs {
    pub(crate) fn into_proto(self) -> proto::ScrapeParameters {
        proto::ScrapeParameters {
            locations: self.locations,
            listing_types: self.listing_types.into_iter().map(i32::from).collect(),
            past_days: self.past_days,
            radius: self.radius,
            limit: self.limit,
            request_delay: self.request_delay,
            source: self.source,
            full_scrape: self.full_scrape,
        }
    }

    fn mask(&self) -> Vec<&'static str> {
        given([
            ("parameters.locations", !self.locations.is_empty()),
            ("parameters.listing_types", !self.listing_types.is_empty()),
            ("parameters.past_days", self.past_days.is_some()),
            ("parameters.radius", self.radius.is_some()),
            ("parameters.limit", self.limit.is_some()),
            ("parameters.request_delay", self.request_delay.is_some()),
            ("parameters.source", self.source.is_some()),
            ("parameters.full_scrape", self.full_scrape.is_some()),
        ])
    }
}

impl JobArgs {
    /// The fields that were given, as paths of an update mask.
    pub(crate) fn mask(&self) -> Vec<&'static str> {
        let mut paths = given([
            ("name", self.name.is_some()),
            ("cron_expression", self.cron_expression.is_some()),
            ("timezone", self.timezone.is_some()),
            ("priority", self.priority.is_some()),
            ("labels", !self.labels.is_empty()),
            ("max_concurrent_runs", self.max_concurrent_runs.is_some()),
        ]);
        paths.extend(self.parameters.mask());
        paths.extend(self.policy.mask());
        paths.extend(self.ticks.mask());
        paths
    }

    pub(crate) fn into_proto(self, scheduled_job_id: String) -> proto::ScheduledJob {
        let ticks = self.ticks;
        ticks.laid_over(proto::ScheduledJob {
            scheduled_job_id,
            name: self.name.unwrap_or_default(),
            cron_expression: self.cron_expression.unwrap_or_default(),
            timezone: self.timezone.unwrap_or_default(),
            priority: self.priority.unwrap_or_default().into(),
            parameters: Some(self.parameters.into_proto()),
            labels: self.labels.into_iter().collect(),
            max_concurrent_runs: self.max_concurrent_runs.unwrap_or_default(),
            policy: self.policy.into_proto(),
            ..Default::default()
        })
    }
}

/// The paths of what was given.
pub(crate) fn given<const N: usize>(fields: [(&'static str, bool); N]) -> Vec<&'static str> {
    fields.into_iter().filter(|(_, given)| *given).map(|(path, _)| path).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command, JobsCommand};

    fn update(flags: &[&str]) -> JobArgs {
        let words = ["windrow", "jobs", "update", "x"].iter().chain(flags);
        match Cli::parse_from(words).command {
            Command::Jobs(JobsCommand::Update(args)) => args.job,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_mask_names_what_was_given() {
        let check = |flags: &[&str], expected: &[&str]| assert_eq!(update(flags).mask(), expected);
        check(&[], &[]);
        check(&["--cron", "@daily"], &["cron_expression"]);
        check(&["--timezone", "", "--name", "N"], &["name", "timezone"]);
        check(&["--location", "a", "--location", "b"], &["parameters.locations"]);
        check(
            &["--priority", "high", "--past-days", "3", "--source", "sample"],
            &["priority", "parameters.past_days", "parameters.source"],
        );
        check(
            &["--request-delay", "2s", "--radius", "1.5", "--limit", "9", "--listing-type", "sold"],
            &[
                "parameters.listing_types",
                "parameters.radius",
                "parameters.limit",
                "parameters.request_delay",
            ],
        );
    }

    #[test]
    fn the_policy_is_changed_field_by_field() {
        let job = update(&[
            "--max-concurrent-runs",
            "0",
            "--max-attempts",
            "5",
            "--lease-duration",
            "1m",
        ]);
        let mask = ["max_concurrent_runs", "policy.max_attempts", "policy.lease_duration"];
        assert_eq!(job.mask(), mask);
        let policy = job.into_proto("x".into()).policy.unwrap();
        assert_eq!((policy.max_attempts, policy.lease_duration.unwrap().seconds), (Some(5), 60));
        assert_eq!(update(&["--name", "N"]).into_proto("x".into()).policy, None);
    }

    #[test]
    fn flags_become_the_message() {
        let job = update(&["--request-delay", "1500ms", "--listing-type", "for_rent"]);
        let parameters = job.into_proto("x".into()).parameters.unwrap();
        let delay = prost_types::Duration { seconds: 1, nanos: 500_000_000 };
        assert_eq!(parameters.request_delay, Some(delay));
        assert_eq!(parameters.listing_types, [i32::from(proto::ListingType::ForRent)]);
    }

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
