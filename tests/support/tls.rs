//! Certificates, the files of a server's TLS, and a look at a server from below.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use windrow_server::config::TlsSettings;

/// The name in the certificates of servers.
pub const HOST: &str = "localhost";
/// A server's first frame on a connection.
const FRAME_OF_SETTINGS: u8 = 4;

/// An authority that signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// PEM of a certificate and its key.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        // Each has a name of its own, as real ones.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        params.distinguished_name.push(DnType::CommonName, format!("Authority {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate with this name, for a server or a client.
    pub fn sign(&self, name: &str) -> Pair {
        self.sign_until(name, 2040)
    }

    /// A certificate that ends with the beginning of a year.
    pub fn sign_until(&self, name: &str, year: i32) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Pair {
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }
}

/// The files of a server's TLS, in a directory of their own.
pub struct TlsFiles {
    pub authority: Authority,
    pub dir: TempDir,
    requires_certificate: bool,
}

impl TlsFiles {
    /// With a certificate for [`HOST`].
    pub fn new() -> Self {
        let authority = Authority::new();
        let files =
            Self { authority, dir: tempfile::tempdir().unwrap(), requires_certificate: false };
        files.write(&files.authority.sign(HOST));
        std::fs::write(files.path("ca.pem"), &files.authority.pem).unwrap();
        files
    }

    /// Clients need a certificate of the same authority.
    pub fn mutual() -> Self {
        Self { requires_certificate: true, ..Self::new() }
    }

    /// Replaces certificate and key.
    pub fn write(&self, pair: &Pair) {
        std::fs::write(self.path("cert.pem"), &pair.certificate).unwrap();
        std::fs::write(self.path("key.pem"), &pair.key).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn settings(&self) -> TlsSettings {
        TlsSettings {
            certificate: Some(self.path("cert.pem")),
            key: Some(self.path("key.pem")),
            client_ca: self.requires_certificate.then(|| self.path("ca.pem")),
        }
    }

    /// A client that trusts the authority, with its own certificate or without.
    pub fn client(&self, own: Option<&Pair>, protocol: &str) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let authority = self.authority.pem.as_bytes();
        roots.add(CertificateDer::from_pem_slice(authority).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match own {
            Some(own) => {
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![own.der()], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        config
    }

    /// The certificate that a new connection to a server of gRPC sees, once the server has accepted the client.
    pub async fn shown(
        &self,
        address: &str,
        own: Option<&Pair>,
    ) -> io::Result<CertificateDer<'static>> {
        let mut stream = handshake(address, self.client(own, "h2")).await?;
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).await?;
        assert_eq!(frame[3], FRAME_OF_SETTINGS);
        let (_, session) = stream.get_ref();
        Ok(session.peer_certificates().unwrap()[0].clone().into_owned())
    }

    /// The body of a page over TLS.
    pub async fn page(&self, address: &str, path: &str) -> io::Result<String> {
        let mut stream = handshake(address, self.client(None, "http/1.1")).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

impl Default for TlsFiles {
    fn default() -> Self {
        Self::new()
    }
}

async fn handshake(address: &str, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(HOST).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}
