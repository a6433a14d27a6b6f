//! Scrape parameters and job settings as flags.

use clap::Args;
use windrow_client::proto;

use super::{
    PolicyFlags, TickPolicyFlags, boolean, check_labels, duration, integer, label, listing_type,
    number, priority, set_paths,
};
use crate::failure::Failure;

/// Scrape parameters except the locations, which every command explains in its own words.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Scraping")]
pub(crate) struct ParameterFlags {
    /// Listing type; repeatable [default: the source's].
    #[arg(long = "listing-type", value_name = "TYPE", value_parser = listing_type())]
    listing_types: Vec<proto::ListingType>,
    /// Only listings changed in the last N days.
    #[arg(long, value_name = "N", value_parser = integer::<i32>)]
    past_days: Option<i32>,
    /// Search radius around each location.
    #[arg(long, value_name = "MILES", value_parser = number)]
    radius: Option<f64>,
    /// Maximum number of listings per location [default: 10000].
    #[arg(long, value_name = "N", value_parser = integer::<i32>)]
    limit: Option<i32>,
    /// Pause between two locations, for example 500ms [default: 1s].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    request_delay: Option<prost_types::Duration>,
    /// Name of the source; `sample` generates synthetic listings [default: the server's].
    #[arg(long)]
    source: Option<String>,
    /// Read all listings, not only those changed since the last complete run.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    #[arg(value_parser = boolean)]
    full_scrape: Option<bool>,
}

/// Settings of a scheduled job that `create` and `update` share.
#[derive(Debug, Default, Args)]
pub(crate) struct JobFlags {
    /// IANA time zone of the cron expression [default: UTC].
    #[arg(long, value_name = "ZONE")]
    pub(crate) timezone: Option<String>,
    /// Priority of runs created by ticks [default: normal].
    #[arg(long, value_parser = priority())]
    pub(crate) priority: Option<proto::ScrapingJobPriority>,
    /// Label; repeatable. On an update, the given labels replace all labels of the job.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// Maximum number of concurrent runs of the job; 0 removes the limit [default: 0].
    #[arg(long, value_name = "N", value_parser = integer::<i32>)]
    pub(crate) max_concurrent_runs: Option<i32>,
    #[command(flatten)]
    pub(crate) parameters: ParameterFlags,
    #[command(flatten)]
    pub(crate) policy: Box<PolicyFlags>,
    #[command(flatten)]
    pub(crate) ticks: Box<TickPolicyFlags>,
}

impl ParameterFlags {
    pub(crate) fn into_proto(self, locations: Vec<String>) -> proto::ScrapeParameters {
        proto::ScrapeParameters {
            locations,
            listing_types: self.listing_types.into_iter().map(i32::from).collect(),
            past_days: self.past_days,
            radius: self.radius,
            limit: self.limit,
            request_delay: self.request_delay,
            source: self.source,
            full_scrape: self.full_scrape,
        }
    }

    fn paths(&self) -> Vec<&'static str> {
        set_paths([
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

impl JobFlags {
    pub(crate) fn check(&self) -> Result<(), Failure> {
        check_labels(&self.labels)
    }

    /// Paths of the given flags for an update mask.
    pub(crate) fn paths(&self) -> Vec<&'static str> {
        let mut paths = set_paths([
            ("timezone", self.timezone.is_some()),
            ("priority", self.priority.is_some()),
            ("labels", !self.labels.is_empty()),
            ("max_concurrent_runs", self.max_concurrent_runs.is_some()),
        ]);
        paths.extend(self.parameters.paths());
        paths.extend(self.policy.paths());
        paths.extend(self.ticks.paths());
        paths
    }

    /// A job with these settings and nothing else.
    pub(crate) fn into_proto(self, locations: Vec<String>) -> proto::ScheduledJob {
        self.ticks.apply_to(proto::ScheduledJob {
            timezone: self.timezone.unwrap_or_default(),
            priority: self.priority.unwrap_or_default().into(),
            parameters: Some(self.parameters.into_proto(locations)),
            labels: self.labels.into_iter().collect(),
            max_concurrent_runs: self.max_concurrent_runs.unwrap_or_default(),
            policy: self.policy.into_proto(),
            ..Default::default()
        })
    }
}
