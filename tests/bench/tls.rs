//! A certificate for a server that a benchmark starts.

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tempfile::TempDir;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use super::noop;

const HOST: &str = "localhost";

/// The files of a server's TLS.
pub(crate) struct Files {
    dir: TempDir,
    signed: CertifiedKey<KeyPair>,
}

impl Files {
    pub(crate) fn new() -> Self {
        let signed = generate_simple_self_signed([HOST.to_owned()]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("cert.pem"), signed.cert.pem()).unwrap();
        std::fs::write(dir.path().join("key.pem"), signed.signing_key.serialize_pem()).unwrap();
        Self { dir, signed }
    }

    /// The settings file of a server that uses them.
    pub(crate) fn settings(&self) -> String {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        let (certificate, key) = (path("cert.pem"), path("key.pem"));
        format!("tls_certificate = '{certificate}'\ntls_key = '{key}'\n{}", noop::SETTINGS)
    }

    /// The way to a server that uses them.
    pub(crate) fn endpoint(&self, address: &str) -> Endpoint {
        let trusted = Certificate::from_pem(self.signed.cert.pem());
        let tls = ClientTlsConfig::new().ca_certificate(trusted).domain_name(HOST);
        Endpoint::from_shared(format!("https://{address}")).unwrap().tls_config(tls).unwrap()
    }
}
