//! What Windrow is about, as pure values: no I/O, no clock, no async, no serialisation.
//!
//! Everything that decides lives here; everything around it reads, writes and waits.

pub mod fairness;
pub mod filter;
pub mod id;
pub mod labels;
pub mod log;
pub mod matching;
pub mod parameters;
pub mod policy;
pub mod revision;
pub mod run;
pub mod saturating;
pub mod schedule;
pub mod scheduled_job;
pub mod text;
pub mod tick;
pub mod tick_policy;
pub mod violation;
pub mod wait;
pub mod wanted;
