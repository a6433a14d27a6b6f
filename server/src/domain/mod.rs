//! The rules of Windrow as pure values: no I/O, no clock, no async.
//!
//! All decisions are made here; the modules around it read, write and wait.

mod duration_text;
pub mod fairness;
pub mod filter;
mod fraction;
pub mod id;
pub mod labels;
pub mod ledger;
pub mod log;
pub mod parameters;
pub mod pending_reason;
pub mod policy;
pub mod property;
pub mod revision;
pub mod run;
pub mod saturating;
pub mod schedule;
pub mod scheduled_job;
pub mod size;
pub mod text;
pub mod tick;
pub mod tick_policy;
pub mod time;
pub mod time_zones;
pub mod violation;
