//! What may be written about ticks.

use clap::Args;
use prost_types::Timestamp;
use windrow_client::proto::ScrapingJobPriority;

use crate::values::{priority, time};

#[derive(Debug, Args)]
pub(crate) struct BackfillArgs {
    /// The scheduled job.
    pub(crate) scheduled_job_id: String,
    /// Begin of the range, for example 2026-11-01T00:00:00Z.
    #[arg(long, value_parser = time)]
    pub(crate) from: Timestamp,
    /// End of the range, included; not in the future. It may hold 1000 ticks.
    #[arg(long, value_parser = time)]
    pub(crate) to: Timestamp,
    /// Priority of the runs; low unless given.
    #[arg(long, value_parser = priority())]
    pub(crate) priority: Option<ScrapingJobPriority>,
    /// Only say what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    /// Ticks of this scheduled job.
    #[arg(required_unless_present = "cron_expression", conflicts_with_all = ["cron_expression", "timezone"])]
    pub(crate) scheduled_job_id: Option<String>,
    /// Ticks of this expression.
    #[arg(long = "cron")]
    pub(crate) cron_expression: Option<String>,
    /// IANA time zone of the expression; UTC unless given.
    #[arg(long, requires = "cron_expression")]
    pub(crate) timezone: Option<String>,
    /// Ticks after this time, for example 2026-12-01T06:00:00Z [default: now]
    #[arg(long, value_parser = time)]
    pub(crate) after: Option<Timestamp>,
    /// How many.
    #[arg(long, default_value_t = 10)]
    pub(crate) count: i32,
}
