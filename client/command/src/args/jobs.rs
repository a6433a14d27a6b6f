//! What may be written after `windrow jobs`.

use clap::{Args, Subcommand};
use prost_types::Timestamp;
use windrow_client::proto::ScheduledJobStatus;

use super::OnceArgs;
use crate::page::PageArgs;
use crate::parameters::JobArgs;
use crate::values::{scheduled_job_status, time};

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// Create an active scheduled job.
    #[command(after_help = "Example: windrow jobs create daily-sold --name 'Daily Sold' \
        --cron '0 6 * * *' --timezone America/Indiana/Indianapolis --location 46220 \
        --listing-type sold --past-days 2")]
    Create(CreateArgs),
    /// Show a scheduled job and its newest runs.
    Get {
        /// The scheduled job.
        scheduled_job_id: String,
        /// At most so many runs.
        #[arg(long, default_value_t = 0, hide_default_value = true)]
        limit: i32,
    },
    /// List scheduled jobs by id.
    List(JobsListArgs),
    /// Change what is given and keep everything else. A given list replaces the old one.
    #[command(after_help = "Example: windrow jobs update daily-sold --cron '30 5 * * *'")]
    Update(UpdateArgs),
    /// Hold a scheduled job; its ticks make no runs until it is resumed.
    Pause {
        /// The scheduled job.
        scheduled_job_id: String,
        /// Why.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// End of the pause, for example 2026-12-01T06:00:00Z.
        #[arg(long, value_parser = time)]
        until: Option<Timestamp>,
    },
    /// Make a paused or inactive scheduled job active.
    Resume {
        /// The scheduled job.
        scheduled_job_id: String,
        /// Decide the ticks of the pause by the job's catch-up policy; else they make no runs.
        #[arg(long)]
        catch_up: bool,
    },
    /// Switch a scheduled job off until it is resumed.
    Deactivate {
        /// The scheduled job.
        scheduled_job_id: String,
    },
    /// Delete a scheduled job; its pending runs are cancelled.
    Delete {
        /// The scheduled job.
        scheduled_job_id: String,
        /// Refuse unless this is the current etag.
        #[arg(long, default_value = "", hide_default_value = true)]
        etag: String,
    },
    /// Restore a deleted scheduled job.
    Undelete {
        /// The scheduled job.
        scheduled_job_id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Id; generated from the name unless given.
    pub(crate) scheduled_job_id: Option<String>,
    #[command(flatten)]
    pub(crate) job: JobArgs,
    #[command(flatten)]
    pub(crate) once: OnceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// The scheduled job.
    pub(crate) scheduled_job_id: String,
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Refuse unless this is the current etag.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) etag: String,
    /// Check only, change nothing.
    #[arg(long)]
    pub(crate) validate_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct JobsListArgs {
    /// Only jobs with this status.
    #[arg(long, value_parser = scheduled_job_status())]
    pub(crate) status: Option<ScheduledJobStatus>,
    /// Deleted jobs too.
    #[arg(long)]
    pub(crate) show_deleted: bool,
    /// Only those that match, for example 'labels.team = sales AND status != paused'.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) filter: String,
    #[command(flatten)]
    pub(crate) page: PageArgs,
}
