//! Policies for missed and overlapping ticks as flags.

use clap::Args;
use prost_types::Duration;
use windrow_client::proto;

use super::{catch_up_mode, duration, integer, overlap, set_paths};

/// All flags are optional; the server has the defaults and checks the limits.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Missed and overlapping ticks")]
pub(crate) struct TickPolicyFlags {
    /// Policy for a tick that is due while the run of an earlier tick is active [default: skip].
    #[arg(long, value_parser = overlap())]
    overlap: Option<proto::OverlapPolicy>,
    /// Missed ticks that create runs after an outage [default: latest_only].
    #[arg(long, value_name = "MODE", value_parser = catch_up_mode())]
    catch_up: Option<proto::CatchUpMode>,
    /// With `all`: maximum number of runs, 1 to 1000 [default: 100].
    #[arg(long, value_name = "N", value_parser = integer::<i32>)]
    catch_up_limit: Option<i32>,
    /// With `latest_only` and `all`: older ticks create no runs [default: 366d].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    catch_up_window: Option<Duration>,
    /// With `skip`: a tick is missed only if it is decided later than this [default: 1m].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    catch_up_grace: Option<Duration>,
    /// Maximum delay between a tick and the start of its run [default: 0s].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    jitter: Option<Duration>,
}

impl TickPolicyFlags {
    pub(super) fn apply_to(&self, job: proto::ScheduledJob) -> proto::ScheduledJob {
        let catch_up = proto::CatchUpPolicy {
            mode: self.catch_up.unwrap_or_default().into(),
            limit: self.catch_up_limit,
            window: self.catch_up_window,
            grace: self.catch_up_grace,
        };
        proto::ScheduledJob {
            overlap: self.overlap.unwrap_or_default().into(),
            catch_up: (catch_up != proto::CatchUpPolicy::default()).then_some(catch_up),
            jitter: self.jitter,
            ..job
        }
    }

    pub(super) fn paths(&self) -> Vec<&'static str> {
        set_paths([
            ("overlap", self.overlap.is_some()),
            ("catch_up.mode", self.catch_up.is_some()),
            ("catch_up.limit", self.catch_up_limit.is_some()),
            ("catch_up.window", self.catch_up_window.is_some()),
            ("catch_up.grace", self.catch_up_grace.is_some()),
            ("jitter", self.jitter.is_some()),
        ])
    }
}
