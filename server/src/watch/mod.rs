//! Watching runs: the current state first, then every later change of status in order, to the end.
//!
//! Events in the database are the truth. A watch reads its own run's events by revision, so it has no
//! gap whatever it is woken by; the [`Hub`] reads what changed once for all watches of a server and
//! wakes those concerned; notifications between servers only make the hub look sooner.

mod hub;
mod stream;

pub use self::hub::Hub;
pub use self::stream::{WatchError, watch};
