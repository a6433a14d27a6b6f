#![doc = include_str!("../README.md")]

pub mod domain;
pub mod store;
pub mod watch;

pub mod app;
pub mod engine;
mod grpc;
pub mod legacy;
pub mod sources;

mod chain;
pub mod cli;
pub mod clock;
pub mod config;
mod metrics;
mod server;
pub mod supervisor;
pub mod telemetry;

pub use self::server::{Offline, Running, Server, StartError};
