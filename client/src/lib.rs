//! Client of Windrow: one method per RPC, and watches that survive lost connections.
//!
//! Promises: a call that creates something carries a request id, so retrying it never makes a second
//! one; every unary call ends within [`CALL_DEADLINE`]; a watch has no gap and no repeat. Left out:
//! caching and TLS.
//!
//! ```no_run
//! use futures::TryStreamExt;
//! use windrow_client::{Client, Error, proto};
//!
//! # async fn example() -> Result<(), Error> {
//! let client = Client::connect("127.0.0.1:50051").await?;
//! let request = proto::TriggerJobRequest { job_id: "daily-sold".into(), ..Default::default() };
//! let run = client.trigger_job(request).await?;
//! let mut states = client.watch(&run.job_id);
//! while let Some(state) = states.try_next().await? {
//!     assert_eq!(state.job_id, run.job_id);
//! }
//! # Ok(())
//! # }
//! ```

mod client;
mod jobs;
mod properties;
mod runs;
mod watch;
pub mod worker;

mod backoff;
mod error;
mod patience;

pub use client::{CALL_DEADLINE, Client};
pub use error::{Error, FieldViolation};
pub use tonic::Code;
pub use windrow::v1 as proto;
