//! The use cases over a real Postgres, with a clock that is moved by hand.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]
#![expect(unreachable_pub, reason = "nobody but these tests could reach anything")]

mod deleting;
mod events;
mod explaining;
mod incremental;
mod leases;
mod overlap;
mod policies;
mod properties;
mod support;
mod ticks;
mod updating;
mod watching;
