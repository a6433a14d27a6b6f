//! Conversion between proto messages and domain values.
//!
//! A function named after a value reads it from a request and rejects an invalid one with the path of its
//! field; `to_…` writes a value for a response. Request-specific conversions stay with their service.
//! The files depend on each other in one direction: run and job on policies and parameters, and
//! everything on primitives.

mod job;
mod parameters;
mod policy;
mod primitives;
mod priority;
mod run;
mod tick_policy;

pub(super) use self::job::{job_status, settings_draft, to_job, to_stats};
pub(super) use self::parameters::{listing_type, parameters, to_listing_type};
pub(super) use self::policy::policy;
pub(super) use self::primitives::{
    duration, optional_scheduled_job_id, required_time, run_id, scheduled_job_id, short_text, text,
    time, to_duration, to_time,
};
pub(super) use self::priority::priority;
pub(super) use self::run::{run_conditions, run_status, to_pending_reason, to_run, to_run_status};
