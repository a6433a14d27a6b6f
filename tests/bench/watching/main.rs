//! Watches: the delay from a change to the client, the cost of fan-out to thousands of streams, and the effect of
//! watchers on triggers. Servers are separate processes. `.dev/bench --bench watching` takes five minutes.
//!
//! Changes go through the product: runs of a source without workers are triggered and cancelled. The delay of a
//! change is the time from writing its event, a few statements before the commit, to its arrival, so it
//! includes those statements.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by a panic")]
#![expect(clippy::print_stdout, reason = "the figures")]
#![expect(clippy::disallowed_methods, reason = "a benchmark has no supervisor")]

#[path = "../../../server/tests/support/database.rs"]
mod database;
#[path = "../figures.rs"]
mod figures;
#[path = "../program.rs"]
mod program;

mod changes;
mod fan_out;
mod latency;
mod streams;
mod triggers;

use self::program::Program;

const SETTINGS: &str = r#"
max_watches = 20000
max_watches_per_client = 20000

[sources.nobody]
kind = "worker"
"#;

#[tokio::main]
async fn main() {
    let base = latency::measure().await;
    fan_out::measure(base).await;
    triggers::measure().await;
}

fn server(url: &str) -> Program {
    Program::start(url, SETTINGS)
}
