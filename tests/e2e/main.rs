//! The promises, tried through the client and the programs only.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]
#![expect(clippy::print_stderr, reason = "what a failed test has seen")]
#![expect(unreachable_pub, reason = "nobody but these tests could reach anything")]

#[path = "../soak/accounting/mod.rs"]
mod accounting;
mod api;
#[path = "../soak/chaos/mod.rs"]
mod chaos;
mod cli;
mod croniter;
#[path = "../soak/gaps/mod.rs"]
mod gaps;
mod import;
mod servers;
mod sources;
#[path = "../support/mod.rs"]
mod support;
mod watching;
mod workers;
