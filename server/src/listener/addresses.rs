//! Open connections of each address, so that one machine cannot use up all of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Prefix of the addresses of one site in IPv6: each machine there can choose the rest.
const SITE: u128 = !0 << 64;

/// Counts connections of other machines.
#[derive(Debug)]
pub(super) struct Addresses {
    limit: usize,
    open: Arc<Open>,
}

#[derive(Debug, Default)]
struct Open(Mutex<HashMap<IpAddr, usize>>);

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    open: Arc<Open>,
    address: IpAddr,
}

/// An address has reached the limit.
#[derive(Debug, thiserror::Error)]
#[error(
    "{address} has {limit} open connections, the limit for one address; raise max_connections_per_address if these \
     are all needed"
)]
pub(super) struct TooMany {
    address: IpAddr,
    limit: usize,
}

impl Addresses {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, open: Arc::default() }
    }

    /// Counts a connection; `None` for one of this machine, which is not limited.
    pub(super) fn admit(&self, address: IpAddr) -> Result<Option<Counted>, TooMany> {
        let address = site(address);
        if address.is_loopback() {
            return Ok(None);
        }
        let mut all = self.open.lock();
        let count = all.entry(address).or_default();
        if *count >= self.limit {
            return Err(TooMany { address, limit: self.limit });
        }
        *count += 1;
        Ok(Some(Counted { open: Arc::clone(&self.open), address }))
    }
}

impl Open {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut all = self.open.lock();
        if let Some(count) = all.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                all.remove(&self.address);
            }
        }
    }
}

/// The address, or the network of 64 bits of one in IPv6.
fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => Ipv6Addr::from_bits(v6.to_bits() & SITE).into(),
        other @ (IpAddr::V4(_) | IpAddr::V6(_)) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_other_machine_has_its_own_limit() {
        let addresses = Addresses::new(2);
        let admit = |text: &str| addresses.admit(text.parse().unwrap());
        for (one, same, other) in [
            ("10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"),
            ("2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1"),
        ] {
            let (first, second) = (admit(one).unwrap(), admit(same).unwrap());
            let refused = admit(one).unwrap_err().to_string();
            assert!(refused.contains("has 2 open connections"), "{refused}");
            assert!(admit(other).unwrap().is_some());
            drop(first);
            let third = admit(same).unwrap();
            assert!(second.is_some() && third.is_some() && admit(one).is_err());
        }
        assert!(addresses.open.lock().is_empty());
    }

    #[test]
    fn this_machine_is_not_limited() {
        let addresses = Addresses::new(1);
        for loopback in ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"] {
            assert!(addresses.admit(loopback.parse().unwrap()).unwrap().is_none(), "{loopback}");
        }
    }
}
