//! Tests of the use cases with a real Postgres and a manual clock.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]
#![expect(unreachable_pub, reason = "a test binary has no users")]

mod batches;
mod buffers;
mod deleting;
mod events;
mod explaining;
mod filters;
mod incremental;
mod indexes;
mod job_cache;
mod leases;
mod list_plans;
mod overlap;
mod policies;
mod properties;
mod queue;
mod stale_runs;
mod statements;
mod support;
mod ticks;
mod time_zones;
mod updating;
mod watching;
