//! The services, call by call.

mod bad_input;
mod cancelling;
mod explaining;
mod history;
mod labels;
mod properties;
mod reflection;
mod serving;
mod statistics;
mod ticks;
mod triggering;
