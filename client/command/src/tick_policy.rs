//! What is done with late and overlapping ticks, as flags.

use clap::Args;
use prost_types::Duration;
use windrow_client::proto;

use crate::parameters::given;
use crate::values::{catch_up_mode, duration, overlap};

/// Every flag is optional; the server has defaults and checks the bounds.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Late and overlapping ticks")]
pub(crate) struct TickPolicyArgs {
    /// What a tick does while the run of an earlier one goes on; skip unless given.
    #[arg(long, value_parser = overlap())]
    overlap: Option<proto::OverlapPolicy>,
    /// Which ticks make runs that no server decided in time; latest_only unless given.
    #[arg(long, value_name = "MODE", value_parser = catch_up_mode())]
    catch_up: Option<proto::CatchUpMode>,
    /// For all: at most so many runs, 1 to 1000; 100 unless given.
    #[arg(long, value_name = "COUNT")]
    catch_up_limit: Option<i32>,
    /// For latest_only and all: older ticks make no runs, for example 12h; 366days unless given.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    catch_up_window: Option<Duration>,
    /// For skip: a tick decided so much later is on time; 1m unless given.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    catch_up_grace: Option<Duration>,
    /// Runs begin up to so much after their tick; 0s unless given.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    jitter: Option<Duration>,
}

impl TickPolicyArgs {
    /// The job with what was given.
    pub(crate) fn laid_over(&self, job: proto::ScheduledJob) -> proto::ScheduledJob {
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

    /// The fields that were given, as paths of an update mask.
    pub(crate) fn mask(&self) -> Vec<&'static str> {
        given([
            ("overlap", self.overlap.is_some()),
            ("catch_up.mode", self.catch_up.is_some()),
            ("catch_up.limit", self.catch_up_limit.is_some()),
            ("catch_up.window", self.catch_up_window.is_some()),
            ("catch_up.grace", self.catch_up_grace.is_some()),
            ("jitter", self.jitter.is_some()),
        ])
    }
}
