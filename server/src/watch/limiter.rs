//! Limits the number of watches: per client, and in total.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchLimits {
    pub in_total: u32,
    pub per_client: u32,
}

impl Default for WatchLimits {
    fn default() -> Self {
        Self { in_total: 10_000, per_client: 1_000 }
    }
}

/// A limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooManyWatches {
    #[error("this client has {0} open watches, the limit for one client (max_watches_per_client)")]
    OfClient(u32),
    #[error("the server has {0} open watches, its limit (max_watches)")]
    InTotal(u32),
}

#[derive(Debug, Default)]
pub struct WatchLimiter {
    limits: WatchLimits,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    in_total: u32,
    by_client: HashMap<String, u32>,
}

/// Permission to keep one watch open, until it is dropped.
#[derive(Debug)]
pub struct WatchPermit {
    limiter: Arc<WatchLimiter>,
    client: String,
}

impl WatchLimiter {
    pub fn new(limits: WatchLimits) -> Self {
        Self { limits, open: Mutex::default() }
    }

    pub fn acquire(self: &Arc<Self>, client: &str) -> Result<WatchPermit, TooManyWatches> {
        let mut open = self.open();
        if open.in_total >= self.limits.in_total {
            return Err(TooManyWatches::InTotal(self.limits.in_total));
        }
        let of_client = open.by_client.entry(client.to_owned()).or_default();
        if *of_client >= self.limits.per_client {
            return Err(TooManyWatches::OfClient(self.limits.per_client));
        }
        *of_client += 1;
        open.in_total += 1;
        Ok(WatchPermit { limiter: Arc::clone(self), client: client.to_owned() })
    }

    /// Number of open watches.
    pub fn count(&self) -> u32 {
        self.open().in_total
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WatchPermit {
    fn drop(&mut self) {
        let mut open = self.limiter.open();
        open.in_total -= 1;
        if let Some(of_client) = open.by_client.get_mut(&self.client) {
            *of_client -= 1;
            if *of_client == 0 {
                open.by_client.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_limited_per_client_and_in_total_and_returned_on_drop() {
        let limiter = Arc::new(WatchLimiter::new(WatchLimits { in_total: 3, per_client: 2 }));
        let first = limiter.acquire("a").unwrap();
        let _second = limiter.acquire("a").unwrap();
        assert_eq!(limiter.acquire("a").unwrap_err(), TooManyWatches::OfClient(2));
        let _third = limiter.acquire("b").unwrap();
        assert_eq!(limiter.acquire("b").unwrap_err(), TooManyWatches::InTotal(3));
        drop(first);
        assert!(limiter.acquire("a").is_ok());
    }
}
