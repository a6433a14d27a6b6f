//! Addresses that other machines can reach: they need TLS and client certificates, unless the operator
//! accepts the risk.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::config::{Config, ListenAddress};

/// Pause between two warnings of an address that is exposed on purpose.
const REMINDER: Duration = Duration::from_hours(1);

/// Protection from other machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    Tls,
    ClientCertificates,
}

/// An address that other machines can reach without some protection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    flag: &'static str,
    address: ListenAddress,
    missing: Vec<Protection>,
}

impl Protection {
    fn is_missing(self, config: &Config) -> bool {
        match self {
            Self::Tls => config.tls.pair().is_none(),
            Self::ClientCertificates => config.tls.client_ca.is_none(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Tls => "TLS",
            Self::ClientCertificates => "client certificates",
        }
    }

    fn flags(self) -> &'static str {
        match self {
            Self::Tls => "--tls-certificate and --tls-key",
            Self::ClientCertificates => "--tls-client-ca",
        }
    }
}

impl Exposure {
    /// The protection that an address lacks, from the needed one; `None` if nothing is missing or if only this
    /// machine can reach it.
    pub(super) fn find(
        config: &Config,
        (flag, address): (&'static str, &ListenAddress),
        bound: impl IntoIterator<Item = IpAddr>,
        needed: &[Protection],
    ) -> Option<Self> {
        if bound.into_iter().all(|ip| ip.to_canonical().is_loopback()) {
            return None;
        }
        let missing = needed.iter().copied().filter(|needed| needed.is_missing(config));
        let missing: Vec<Protection> = missing.collect();
        let address = address.clone();
        (!missing.is_empty()).then_some(Self { flag, address, missing })
    }

    fn missing(&self, text: impl Fn(Protection) -> String) -> String {
        self.missing.iter().copied().map(text).collect::<Vec<_>>().join(" and ")
    }
}

/// For a start that is refused.
impl fmt::Display for Exposure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flag, address, .. } = self;
        let needed = self.missing(|one| format!("{} ({})", one.name(), one.flags()));
        write!(
            formatter,
            "--{flag} {address}: other machines can reach this address, so it needs {needed}; listen on \
             127.0.0.1 instead, or accept the risk with --insecure"
        )
    }
}

/// Warns of exposed addresses at once and then every hour.
pub(super) async fn warn_of(exposed: &[Exposure], stop: CancellationToken) {
    while !stop.is_cancelled() {
        for exposure in exposed {
            let missing = exposure.missing(|one| format!("without {}", one.name()));
            warn!("Other machines can use {} {missing}, as --insecure permits", exposure.address);
        }
        stop.run_until_cancelled(sleep(REMINDER)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::Database;

    fn config(with_tls: bool, with_clients: bool) -> Config {
        let mut config = Config::new(Database::Url(String::new()));
        let file = |name: &str| Some(PathBuf::from(name));
        if with_tls {
            (config.tls.certificate, config.tls.key) = (file("cert.pem"), file("key.pem"));
        }
        if with_clients {
            config.tls.client_ca = file("ca.pem");
        }
        config
    }

    fn missing(config: &Config, bound: &[&str]) -> Option<String> {
        let address = "windrow.example:1".parse().unwrap();
        let bound = bound.iter().map(|ip| ip.parse().unwrap());
        let needed = [Protection::Tls, Protection::ClientCertificates];
        Exposure::find(config, ("listen", &address), bound, &needed).map(|found| found.to_string())
    }

    #[test]
    fn an_address_that_others_can_reach_needs_tls_and_client_certificates() {
        let (tls, clients) =
            ("--tls-certificate and --tls-key", "client certificates (--tls-client-ca)");
        for (config, named) in [
            (config(false, false), &[tls, clients][..]),
            (config(true, false), &[clients]),
            (config(true, true), &[]),
        ] {
            for bound in ["0.0.0.0", "::", "10.0.0.1", "fe80::1", "::ffff:10.0.0.1"] {
                let found = missing(&config, &["127.0.0.1", bound]).unwrap_or_default();
                for protection in [tls, clients] {
                    let is_named = found.contains(protection);
                    assert_eq!(is_named, named.contains(&protection), "{bound}: {found}");
                }
                assert_eq!(found.contains("--insecure"), !named.is_empty(), "{bound}: {found}");
            }
        }
    }

    #[test]
    fn loopback_needs_nothing() {
        let open = config(false, false);
        let bound = ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"];
        assert_eq!(missing(&open, &bound), None);
    }
}
