#![doc = include_str!("../README.md")]

pub mod domain;
pub mod store;
pub mod watch;

pub mod app;
pub mod engine;
mod grpc;
pub mod legacy;
pub mod sources;

pub mod cli;
pub mod clock;
pub mod config;
pub mod descriptors;
mod error_chain;
pub mod guard;
mod listener;
mod metrics;
mod seal;
mod server;
pub mod supervisor;
pub mod telemetry;
pub mod zoneinfo;

pub use self::error_chain::causes;
pub use self::listener::TlsError;
pub use self::server::{Exposure, OfflineApp, Running, Server, StartError};
