//! Client of Windrow: one method per RPC, and watches that survive lost connections.
//!
//! Promises: a call that creates something carries a request id, so retrying it never makes a second
//! one; every unary call ends within [`CALL_DEADLINE`]; a watch has no gap and no repeat. With several
//! servers all of it goes on at another one when one is lost. Left out: caching, and balancing load.
//!
//! ```no_run
//! use futures::TryStreamExt;
//! use windrow_client::{Client, Error, TriggerJob};
//!
//! # async fn example() -> Result<(), Error> {
//! let client = Client::connect("127.0.0.1:50051").await?;
//! let run = client.trigger_job(TriggerJob::new("daily-sold").location("46220")).await?;
//! let mut states = client.watch(&run.job_id);
//! while let Some(state) = states.try_next().await? {
//!     assert_eq!(state.job_id, run.job_id);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - [`Client::builder`]: several servers, TLS, a token, deadlines, the budget of retries.
//! - [`Client::trigger_and_wait`], [`Client::wait`]: a run at its end.
//! - [`Client::watch`], [`Client::watch_all`]: one run, or all that match, live.
//! - [`Client::list_all_scraping_jobs`] and its like: lists of any length as streams.
//! - [`Error`]: what a caller can do about it, as variants.
//! - [`worker`]: execute runs in your own process.
//!
//! Each unary call, and each time that a watch or export is opened, is a `tracing` span `windrow.call` with
//! `rpc.method`, `rpc.code` and `server.address`; a unary call also has `rpc.attempts`. Messages are those of
//! the contract, in [`proto`]; fields that a request does not need are left to `..Default::default()`.
//!
//! `client/examples/` has programs: trigger and wait, follow all runs, a dashboard.

#![warn(missing_docs)]

mod builder;
mod client;
mod jobs;
mod lists;
mod properties;
mod requests;
mod runs;
mod wait;
mod watch;
pub mod worker;

mod address;
mod backoff;
mod endpoints;
mod error;
mod reconnect;

#[cfg(test)]
mod fake;

pub use builder::{CALL_DEADLINE, CONNECT_TIMEOUT, ClientBuilder};
pub use client::Client;
pub use error::{Error, FieldViolation};
pub use requests::{TriggerJob, WatchAll};
pub use tonic::Code;
pub use watch::{SILENCE, WatchEvent, WatchEvents};
pub use windrow::v1 as proto;
