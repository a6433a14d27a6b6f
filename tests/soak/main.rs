//! The promises while processes, connections and databases fail.
//!
//! Each suite takes well under a minute. Environment variables make it longer or repeat the faults of an
//! earlier run; tests/README.md lists them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]
#![expect(clippy::print_stderr, reason = "figures of a run, and the seed that repeats it")]
#![expect(unreachable_pub, reason = "a test program exports nothing")]

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "the end-to-end tests use the rest")]
mod support;

mod accounting;
mod acknowledged;
mod chaos;
mod faults;
mod gaps;
mod options;
mod postgres;
mod stage;
