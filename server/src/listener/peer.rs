//! The other side of a connection.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use super::tls::ClientCertificate;

/// Address and certificate of a client.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Set in the handshake, if clients need certificates.
    pub(super) certificate: Arc<OnceLock<ClientCertificate>>,
}

impl Peer {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, certificate: Arc::default() }
    }

    /// The verified certificate. Requests arrive after the handshake.
    pub(crate) fn certificate(&self) -> Option<&ClientCertificate> {
        self.certificate.get()
    }
}
