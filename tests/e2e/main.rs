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

mod accounting;
mod apply;
mod bad_input;
mod cancelling;
mod chaos;
mod client;
mod command;
mod connections;
mod crashes;
mod croniter;
mod explaining;
mod feed;
mod gaps;
mod history;
mod import;
mod labels;
mod late_feed;
mod limits;
mod properties;
mod python;
mod reflection;
mod resets;
mod reso;
mod seed;
mod servers;
mod serving;
mod sources;
mod statistics;
mod support;
mod ticks;
mod tls;
mod tokens;
mod watch_command;
mod watching;
mod workers;
