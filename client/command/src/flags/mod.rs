//! Flags and values of flags that several commands share.

mod parameters;
mod policy;
mod selector;
mod tick_policy;
mod unset;
mod values;

use clap::Args;

pub(crate) use parameters::{JobFlags, ParameterFlags};
pub(crate) use policy::PolicyFlags;
pub(crate) use selector::Selector;
pub(crate) use tick_policy::TickPolicyFlags;
pub(crate) use unset::{is_optional, unset};
pub(crate) use values::{
    boolean, catch_up_mode, check_labels, duration, integer, label, listing_type, log_level,
    number, overlap, priority, scheduled_job_status, scraping_job_status, time,
};

/// Part of a list.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ListFlags {
    /// Maximum number of entries, up to 1000.
    #[arg(long, value_name = "N", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// Show everything.
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
}

/// Check without effect.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct DryRunFlag {
    /// Check and show the result, but change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Flags of every command that creates one thing.
#[derive(Clone, Debug, Args)]
pub(crate) struct CreationFlags {
    /// Check and show the result, but create nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Idempotency key: repeating the command with the same key and flags creates nothing twice.
    ///
    /// A UUID or up to 64 printable characters; the server retains it for 7 days.
    #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
    pub(crate) request_id: String,
}

/// The paths whose flag is set.
fn set_paths<const N: usize>(fields: [(&'static str, bool); N]) -> Vec<&'static str> {
    fields.into_iter().filter(|(_, is_set)| *is_set).map(|(path, _)| path).collect()
}
