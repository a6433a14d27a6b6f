//! TLS of the listeners: the certificate for new connections, and its renewal while the server runs.
//!
//! A connection keeps the certificate that it began with. Sessions are not resumed over a renewal, so a client whose
//! authority was removed has to connect again with another certificate.

mod files;
mod keeper;
mod names;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use rustls::ServerConfig;
use tokio::sync::Notify;

use self::files::Files;
pub use self::files::TlsError;
pub(super) use self::names::ClientCertificate;
use crate::config::TlsSettings;

/// The protocol of a listener, which a client chooses in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    Metrics,
}

impl Protocol {
    /// Its name in ALPN.
    fn alpn(self) -> &'static [u8] {
        match self {
            Self::Grpc => b"h2",
            Self::Metrics => b"http/1.1",
        }
    }
}

/// The TLS of a server.
#[derive(Debug)]
pub(crate) struct Tls {
    settings: TlsSettings,
    loaded: RwLock<Arc<Loaded>>,
    /// To look at the files now.
    asked: Notify,
    failed_reloads: AtomicU64,
    failed_handshakes: AtomicU64,
}

/// What is in effect for new connections.
#[derive(Debug)]
struct Loaded {
    files: Files,
    grpc: Arc<ServerConfig>,
    metrics: Arc<ServerConfig>,
    /// The end of the certificate's validity.
    not_after: DateTime<Utc>,
}

impl Tls {
    /// Reads the files; `None` without TLS.
    pub(crate) async fn load(settings: &TlsSettings) -> Result<Option<Arc<Self>>, TlsError> {
        let Some(files) = Files::read(settings).await? else { return Ok(None) };
        files::warn_of_readers(settings).await;
        let loaded = Loaded::new(files, settings)?;
        loaded.announce();
        Ok(Some(Arc::new(Self {
            settings: settings.clone(),
            loaded: RwLock::new(Arc::new(loaded)),
            asked: Notify::new(),
            failed_reloads: AtomicU64::new(0),
            failed_handshakes: AtomicU64::new(0),
        })))
    }

    /// Looks at the files now instead of at the next check.
    pub(crate) fn reload(&self) {
        self.asked.notify_one();
    }

    /// The end of the certificate's validity.
    pub(crate) fn not_after(&self) -> DateTime<Utc> {
        self.loaded().not_after
    }

    /// Checks that found changed files and kept the certificate before.
    pub(crate) fn failed_reloads(&self) -> u64 {
        self.failed_reloads.load(Ordering::Relaxed)
    }

    /// Connections that ended in the handshake for another reason than a client that went away.
    pub(crate) fn failed_handshakes(&self) -> u64 {
        self.failed_handshakes.load(Ordering::Relaxed)
    }

    pub(super) fn count_failed_handshake(&self) {
        self.failed_handshakes.fetch_add(1, Ordering::Relaxed);
    }

    /// For a new connection.
    pub(super) fn config(&self, protocol: Protocol) -> Arc<ServerConfig> {
        let loaded = self.loaded();
        Arc::clone(match protocol {
            Protocol::Grpc => &loaded.grpc,
            Protocol::Metrics => &loaded.metrics,
        })
    }

    fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Loaded {
    fn new(files: Files, settings: &TlsSettings) -> Result<Self, TlsError> {
        let not_after = files.not_after(settings)?;
        let grpc = Arc::new(files.server_config(settings, Protocol::Grpc)?);
        let metrics = Arc::new(files.server_config(settings, Protocol::Metrics)?);
        Ok(Self { files, grpc, metrics, not_after })
    }

    fn announce(&self) {
        let not_after = self.not_after.format("%F %T UTC");
        tracing::info!("Using the TLS certificate that is valid until {not_after}");
    }
}
