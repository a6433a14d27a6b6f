//! The PEM files of TLS, checked. An error names the setting, the file and what to do.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, RootCertStore, ServerConfig};
use tokio::io::AsyncReadExt as _;

use super::{Protocol, names};
use crate::config::TlsSettings;

/// A larger file is not one of certificates, and may be endless.
const FILE_MAX: u64 = 1024 * 1024;
/// Permission of everyone to read.
const READ_BY_OTHERS: u32 = 0o004;

/// A file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} {}: {reason}", file.display())]
pub struct TlsError {
    setting: &'static str,
    file: PathBuf,
    reason: String,
}

/// The contents of the files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Files {
    certificate: Vec<u8>,
    key: Secret,
    client_ca: Option<Vec<u8>>,
}

/// Not shown in `Debug`.
#[derive(PartialEq, Eq)]
struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("***")
    }
}

/// A file and its setting, for errors.
#[derive(Clone, Copy)]
struct Place<'a> {
    setting: &'static str,
    file: &'a Path,
}

impl Place<'_> {
    fn error(self, reason: impl Into<String>) -> TlsError {
        let Self { setting, file } = self;
        TlsError { setting, file: file.to_owned(), reason: reason.into() }
    }

    async fn read(self) -> Result<Vec<u8>, TlsError> {
        let read = async {
            let mut text = Vec::new();
            let file = tokio::fs::File::open(self.file).await?;
            file.take(FILE_MAX).read_to_end(&mut text).await?;
            io::Result::Ok(text)
        };
        read.await.map_err(|error| self.error(format!("failed to read the file: {error}")))
    }

    fn certificates(self, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(text).collect();
        let found = found.map_err(|error| self.error(damaged(&error)))?;
        if found.is_empty() {
            return Err(self.error(
                "the file contains no certificate; expected PEM, which begins with \
                 -----BEGIN CERTIFICATE-----",
            ));
        }
        Ok(found)
    }

    fn private_key(self, text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
        if is_encrypted(text) {
            let file = self.file.display();
            return Err(self.error(format!(
                "the key is encrypted, and a server cannot ask for its passphrase; decrypt it with openssl pkey \
                 -in {file} -out FILE"
            )));
        }
        PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
            pem::Error::NoItemsFound => self.error(
                "the file contains no private key; expected PEM, which begins with \
                 -----BEGIN PRIVATE KEY-----",
            ),
            error => self.error(damaged(&error)),
        })
    }
}

impl Files {
    /// `None` without TLS.
    pub(super) async fn read(settings: &TlsSettings) -> Result<Option<Self>, TlsError> {
        let Some((certificate, key)) = settings.places() else { return Ok(None) };
        let client_ca = match settings.client_ca_place() {
            Some(place) => Some(place.read().await?),
            None => None,
        };
        let (certificate, key) = (certificate.read().await?, Secret(key.read().await?));
        Ok(Some(Self { certificate, key, client_ca }))
    }

    /// The end of the certificate's validity.
    pub(super) fn not_after(&self, settings: &TlsSettings) -> Result<DateTime<Utc>, TlsError> {
        let Some((place, _)) = settings.places() else { return Ok(DateTime::UNIX_EPOCH) };
        let chain = place.certificates(&self.certificate)?;
        let not_after = chain.first().and_then(|certificate| names::not_after(certificate));
        not_after.ok_or_else(|| place.error("the file contains no valid X.509 certificate"))
    }

    pub(super) fn server_config(
        &self,
        settings: &TlsSettings,
        protocol: Protocol,
    ) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let certified = self.certified_key(settings, &provider)?;
        let verifier = self.client_verifier(settings, &provider)?;
        let needs_certificate = verifier.is_some();
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::of(settings, error.to_string()))?;
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let resolver = Arc::new(SingleCertAndKey::from(certified));
        let mut config = builder.with_cert_resolver(resolver);
        config.alpn_protocols = vec![protocol.alpn().to_vec()];
        if needs_certificate {
            // A resumed session would not check the end of the client's certificate.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(config)
    }

    fn certified_key(
        &self,
        settings: &TlsSettings,
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, TlsError> {
        let Some((certificate, key)) = settings.places() else {
            return Err(TlsError::of(settings, "no certificate".to_owned()));
        };
        let chain = certificate.certificates(&self.certificate)?;
        let loaded = key.private_key(&self.key.0)?;
        CertifiedKey::from_der(chain, loaded, provider).map_err(|error| match error {
            Error::InconsistentKeys(_) => {
                let certificate = certificate.file.display();
                key.error(format!("the key does not belong to the certificate in {certificate}"))
            }
            Error::InvalidCertificate(_) => {
                certificate.error(format!("the certificate cannot be used: {error}"))
            }
            error => key.error(format!("the key cannot be used: {error}")),
        })
    }

    fn client_verifier(
        &self,
        settings: &TlsSettings,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
        let (Some(place), Some(text)) = (settings.client_ca_place(), &self.client_ca) else {
            return Ok(None);
        };
        let mut roots = RootCertStore::empty();
        for certificate in place.certificates(text)? {
            let added = roots.add(certificate);
            added.map_err(|error| place.error(format!("an authority cannot be used: {error}")))?;
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let built = verifier.build().map_err(|error| place.error(error.to_string()))?;
        Ok(Some(built))
    }
}

impl TlsError {
    fn of(settings: &TlsSettings, reason: String) -> Self {
        let file = settings.certificate.clone().unwrap_or_default();
        Self { setting: "tls_certificate", file, reason }
    }
}

impl TlsSettings {
    fn places(&self) -> Option<(Place<'_>, Place<'_>)> {
        let (certificate, key) = self.pair()?;
        let certificate = Place { setting: "tls_certificate", file: certificate };
        Some((certificate, Place { setting: "tls_key", file: key }))
    }

    fn client_ca_place(&self) -> Option<Place<'_>> {
        self.client_ca.as_deref().map(|file| Place { setting: "tls_client_ca", file })
    }
}

/// Warns if everyone on this machine can read the key.
pub(super) async fn warn_of_readers(settings: &TlsSettings) {
    let Some((_, key)) = settings.pair() else { return };
    let mode = tokio::fs::metadata(key).await.map_or(0, |found| found.permissions().mode());
    if mode & READ_BY_OTHERS != 0 {
        let key = key.display();
        tracing::warn!(
            "Every user of this machine can read the TLS key {key}; run chmod o-r on it"
        );
    }
}

/// In PKCS #8, or as openssl wrote keys before that.
fn is_encrypted(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || text.contains("Proc-Type: 4,ENCRYPTED")
}

/// Does not repeat the contents, which may be a key.
fn damaged(error: &pem::Error) -> String {
    let part = match error {
        pem::Error::MissingSectionEnd { .. } => "a section of PEM does not end",
        pem::Error::IllegalSectionStart { .. } => "a section of PEM does not begin correctly",
        _ => "a section of PEM is not valid Base64",
    };
    format!("the file is damaged: {part}")
}
