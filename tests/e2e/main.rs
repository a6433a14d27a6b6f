//! The promises, tested from outside: through the client library and the programs.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]
#![expect(clippy::print_stderr, reason = "evidence of a failed test")]
#![expect(unreachable_pub, reason = "a test program exports nothing")]

mod api;
mod cli;
mod databases;
mod import;
mod process;
mod servers;
mod sizes;
mod sources;
#[path = "../support/mod.rs"]
mod support;
mod values;
mod watching;
mod workers;
