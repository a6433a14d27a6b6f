//! The addresses of a server, bound and checked before anything else starts.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::StartError;
use super::exposure::{Exposure, Protection};
use super::starting::step;
use crate::config::{Config, ListenAddress};
use crate::listener::{Listener, Patience, Protocol, Tls};
use crate::{descriptors, grpc, metrics};

pub(super) struct Listening {
    pub(super) grpc: Listener,
    pub(super) address: SocketAddr,
    pub(super) metrics: Option<(Listener, SocketAddr)>,
    pub(super) tls: Option<Arc<Tls>>,
    /// Addresses that the operator exposes without protection.
    pub(super) exposed: Vec<Exposure>,
}

/// The differences between the two addresses.
struct Kind {
    flag: &'static str,
    connections: usize,
    patience: Patience,
    needed: &'static [Protection],
}

impl Listening {
    pub(super) async fn open(
        config: &Config,
        stop: &CancellationToken,
    ) -> Result<Self, StartError> {
        let tls = step(stop, "the files of TLS", Tls::load(&config.tls)).await?;
        let mut exposed = Vec::new();
        let kind = Kind {
            flag: "listen",
            connections: descriptors::for_connections(config),
            patience: grpc::PATIENCE,
            needed: &[Protection::Tls, Protection::ClientCertificates],
        };
        let opening = listen(config, &config.listen, &kind, &mut exposed);
        let (grpc, address) = step(stop, "the address to listen on", opening).await?;
        let metrics = match &config.metrics_listen {
            Some(address) => {
                let kind = Kind {
                    flag: "metrics-listen",
                    connections: metrics::MAX_CONNECTIONS,
                    patience: metrics::PATIENCE,
                    needed: &[Protection::Tls],
                };
                let opening = listen(config, address, &kind, &mut exposed);
                let (listener, address) = step(stop, "the address of metrics", opening).await?;
                Some((listener.with_tls(tls.as_ref(), Protocol::Metrics), address))
            }
            None => None,
        };
        let grpc = grpc
            .with_tls(tls.as_ref(), Protocol::Grpc)
            .with_limits(config.max_connections_per_address, config.max_connection_age);
        Ok(Self { grpc, address, metrics, tls, exposed })
    }
}

async fn listen(
    config: &Config,
    address: &ListenAddress,
    kind: &Kind,
    exposed: &mut Vec<Exposure>,
) -> Result<(Listener, SocketAddr), StartError> {
    let refused = |source| StartError::Listen { address: address.clone(), flag: kind.flag, source };
    let sockets = Listener::bind(address).await.map_err(refused)?;
    let listener = Listener::new(sockets, kind.connections, kind.patience);
    let first = listener.address().map_err(refused)?;
    let bound = [first].into_iter().chain(listener.other_addresses()).map(|it| it.ip());
    if let Some(exposure) = Exposure::find(config, (kind.flag, address), bound, kind.needed) {
        if !config.insecure {
            return Err(StartError::Exposed(exposure));
        }
        exposed.push(exposure);
    }
    Ok((listener, first))
}
