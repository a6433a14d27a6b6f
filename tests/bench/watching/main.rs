//! Watching: how soon a change is with the client, what fan-out to thousands of streams costs, and what
//! watchers cost those who trigger. Servers are processes of their own. `.dev/bench --bench watching` runs
//! it, in five minutes.
//!
//! Changes are made through the product: runs of a source that nobody executes are triggered and cancelled.
//! A change is late by what passes from the writing of its event, which is a few statements before the
//! commit, to its arrival; so it includes those statements.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by a panic")]
#![expect(clippy::print_stdout, reason = "what it measured")]
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
