//! Windrow's server.
pub mod app;
mod chain;
pub mod clock;
pub mod domain;
pub mod engine;
pub mod sources;
pub mod store;
pub mod supervisor;
pub mod watch;
