#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod builder;
mod client;
mod jobs;
mod properties;
mod raw;
mod runs;
mod ticks;
mod watch;
pub mod worker;

mod address;
mod backoff;
mod delay;
mod endpoints;
mod error;
mod pages;
mod reconnect;
mod times;

#[cfg(test)]
mod fake;

pub use builder::{
    ClientBuilder, DEFAULT_CONNECT_TIMEOUT, DEFAULT_HTTP2_KEEP_ALIVE_INTERVAL,
    DEFAULT_KEEP_ALIVE_TIMEOUT, DEFAULT_STREAM_IDLE_TIMEOUT, DEFAULT_TIMEOUT, RetryBudget,
};
pub use client::Client;
pub use delay::Delay;
pub use error::{Error, FieldViolation, Status};
pub use jobs::{CreateJob, DeleteJob, JobStats, ListJobs, PauseJob, ResumeJob, UpdateJob};
pub use properties::{ExportProperties, ListProperties};
pub use prost_types;
pub use raw::Raw;
pub use runs::{CancelRuns, ListLogs, ListRuns, RetryFailedLocations, SubmitRun, TriggerJob};
pub use ticks::{BackfillJob, ListTicks, PreviewTicks};
pub use tonic::Code;
pub use watch::{WatchAll, WatchEvent, WatchEvents, WatchRun};
pub use windrow::reason;
pub use windrow::v1 as proto;
