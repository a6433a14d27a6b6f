//! How many watches there may be: of one client, and in all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The limits of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchLimits {
    /// Of all clients together.
    pub in_all: u32,
    pub per_client: u32,
}

impl Default for WatchLimits {
    fn default() -> Self {
        Self { in_all: 10_000, per_client: 1_000 }
    }
}

/// Which limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooManyWatches {
    /// That of one client.
    #[error("this client has {0} watches, which is the server's limit (max_watches_per_client)")]
    OfClient(u32),
    /// That of the server.
    #[error("the server has {0} watches, which is its limit (max_watches)")]
    InAll(u32),
}

/// The limiter for watches of a server.
#[derive(Debug, Default)]
pub struct WatchLimiter {
    limits: WatchLimits,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    in_all: u32,
    by_client: HashMap<String, u32>,
}

/// A watch's permit. Given back when dropped.
#[derive(Debug)]
pub struct WatchPermit {
    limiter: Arc<WatchLimiter>,
    client: String,
}

impl WatchLimiter {
    /// WatchLimiter up to the limits.
    pub fn new(limits: WatchLimits) -> Self {
        Self { limits, taken: Mutex::default() }
    }

    /// A permit for a client.
    pub fn take(self: &Arc<Self>, client: &str) -> Result<WatchPermit, TooManyWatches> {
        let mut taken = self.taken();
        if taken.in_all >= self.limits.in_all {
            return Err(TooManyWatches::InAll(self.limits.in_all));
        }
        let of_client = taken.by_client.entry(client.to_owned()).or_default();
        if *of_client >= self.limits.per_client {
            return Err(TooManyWatches::OfClient(self.limits.per_client));
        }
        *of_client += 1;
        taken.in_all += 1;
        Ok(WatchPermit { limiter: Arc::clone(self), client: client.to_owned() })
    }

    /// How many are taken.
    pub fn count(&self) -> u32 {
        self.taken().in_all
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WatchPermit {
    fn drop(&mut self) {
        let mut taken = self.limiter.taken();
        taken.in_all -= 1;
        if let Some(of_client) = taken.by_client.get_mut(&self.client) {
            *of_client -= 1;
            if *of_client == 0 {
                taken.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_limited_per_client_and_in_all_and_given_back() {
        let limiter = Arc::new(WatchLimiter::new(WatchLimits { in_all: 3, per_client: 2 }));
        let first = limiter.take("a").unwrap();
        let _second = limiter.take("a").unwrap();
        assert_eq!(limiter.take("a").unwrap_err(), TooManyWatches::OfClient(2));
        let _third = limiter.take("b").unwrap();
        assert_eq!(limiter.take("b").unwrap_err(), TooManyWatches::InAll(3));
        drop(first);
        assert!(limiter.take("a").is_ok());
    }
}
