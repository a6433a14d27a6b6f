//! A Postgres that only accepts encrypted connections.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use sqlx::{Executor as _, Row as _};
use tempfile::TempDir;
use windrow_server::config::connect_options;
use windrow_server::store;

use super::execute_run;
use crate::support::Windrow;
use crate::support::cluster::{Cluster, Programs};
use crate::support::program::Program;

/// A cluster with a certificate for `localhost`.
struct Encrypted {
    _cluster: Cluster,
    files: Files,
    port: u16,
}

/// Certificates and keys, readable for Postgres and for the test.
struct Files {
    dir: TempDir,
    programs: Programs,
}

impl Files {
    async fn new() -> Self {
        let programs = Programs::find().await;
        let dir = programs.new_dir();
        Self { dir, programs }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        // Postgres refuses a key that others can read.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let (user, group) = self.programs.user();
        chown(&path, Some(user), Some(group)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn shown(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes an authority, a certificate of it for `localhost`, one for the role `windrow`, and a stranger's
    /// authority.
    fn certify(&self) {
        let (authority, issuer) = new_authority();
        self.write("ca.pem", &authority);
        self.write("stranger.pem", &new_authority().0);
        let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let mut client = CertificateParams::new(Vec::new()).unwrap();
        client.distinguished_name.push(DnType::CommonName, "windrow");
        for (name, params) in [("server", server), ("client", client)] {
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &issuer).unwrap();
            self.write(&format!("{name}.pem"), &certificate.pem());
            self.write(&format!("{name}.key"), &key.serialize_pem());
        }
    }
}

fn new_authority() -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    (pem, Issuer::new(params, key))
}

impl Encrypted {
    /// Starts a cluster whose TCP connections must be encrypted and authenticated by `method`.
    async fn start(method: &str) -> Self {
        let files = Files::new().await;
        files.certify();
        let rules = format!("local all all trust\nhostssl all all 127.0.0.1/32 {method}\n");
        let rules = files.write("hba.conf", &rules);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let setting = |name: &str, file: &str| format!("{name}={}", files.shown(file));
        let cluster = Cluster::start_with(&[
            "listen_addresses=localhost",
            &format!("port={port}"),
            "ssl=on",
            &format!("hba_file={rules}"),
            &setting("ssl_cert_file", "server.pem"),
            &setting("ssl_key_file", "server.key"),
            &setting("ssl_ca_file", "ca.pem"),
        ])
        .await;
        cluster.create("windrow");
        Self { _cluster: cluster, files, port }
    }

    fn url(&self, host: &str, parameters: &str) -> String {
        let url = format!("postgres://windrow@{host}:{}/windrow?{parameters}", self.port);
        let file = |name: &str| self.files.shown(name);
        url.replace("{ca}", &file("ca.pem"))
            .replace("{stranger}", &file("stranger.pem"))
            .replace("{cert}", &file("client.pem"))
            .replace("{key}", &file("client.key"))
    }
}

/// Whether a connection of a pool is encrypted; the error if it is refused.
async fn is_encrypted(url: &str) -> Result<bool, String> {
    let options = connect_options(url).unwrap();
    let pool = store::connect(options, 2).await.map_err(|error| chain(&error))?;
    let mut connection = pool.acquire().await.unwrap();
    let query = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let encrypted = connection.fetch_one(query).await.unwrap().get(0);
    drop(connection);
    pool.close().await;
    Ok(encrypted)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[tokio::test]
async fn every_mode_that_encrypts_is_accepted_by_a_server_that_demands_it() {
    let encrypted = Encrypted::start("trust").await;
    for parameters in [
        "",
        "sslmode=prefer",
        "sslmode=allow",
        "sslmode=require",
        "sslmode=require&sslrootcert={ca}",
        "sslmode=verify-ca&sslrootcert={ca}",
        "sslmode=verify-full&sslrootcert={ca}",
    ] {
        let url = encrypted.url("localhost", parameters);
        assert_eq!(is_encrypted(&url).await, Ok(true), "{parameters}");
    }
    // Only the name is wrong.
    let url = encrypted.url("127.0.0.1", "sslmode=verify-ca&sslrootcert={ca}");
    assert_eq!(is_encrypted(&url).await, Ok(true));

    let url = encrypted.url("localhost", "sslmode=verify-full&sslrootcert={ca}");
    let windrow = Windrow::start_on(&url, |_| {}).await;
    execute_run(&windrow).await;
    windrow.stop().await;
}

#[tokio::test]
async fn a_server_that_is_not_the_right_one_is_refused() {
    let encrypted = Encrypted::start("trust").await;
    for (host, parameters, cause) in [
        ("localhost", "sslmode=disable", "no encryption"),
        ("localhost", "sslmode=require&sslrootcert={stranger}", "certificate"),
        ("localhost", "sslmode=verify-ca&sslrootcert={stranger}", "certificate"),
        ("localhost", "sslmode=verify-full&sslrootcert={stranger}", "certificate"),
        ("localhost", "sslmode=verify-full", "certificate"),
        ("127.0.0.1", "sslmode=verify-full&sslrootcert={ca}", "not valid for name"),
    ] {
        let error = is_encrypted(&encrypted.url(host, parameters)).await.unwrap_err();
        assert!(error.contains(cause), "{host} {parameters}: {error}");
    }
}

#[tokio::test]
async fn a_client_certificate_authenticates_the_server() {
    let encrypted = Encrypted::start("cert").await;
    let root = "sslmode=verify-full&sslrootcert={ca}";
    let certified = format!("{root}&sslcert={{cert}}&sslkey={{key}}");
    assert_eq!(is_encrypted(&encrypted.url("localhost", &certified)).await, Ok(true));
    is_encrypted(&encrypted.url("localhost", root)).await.unwrap_err();
}

#[tokio::test]
async fn the_log_says_whether_the_connection_is_encrypted() {
    let encrypted = Encrypted::start("trust").await;
    let url = encrypted.url("localhost", "sslmode=verify-full&sslrootcert={ca}");
    let program = Program::start(&["--database-url", &url], "", &[]);
    program.log_line("(encrypted, server verified)").await;
    assert_eq!(program.process.terminate(), Some(0));

    // Variables mean the same as parameters.
    let url = encrypted.url("localhost", "");
    let ca = encrypted.files.shown("ca.pem");
    let variables = [("PGSSLMODE", "verify-ca"), ("PGSSLROOTCERT", ca.as_str())];
    let program = Program::start(&["--database-url", &url], "", &variables);
    program.log_line("(encrypted, authority of the server verified)").await;
    assert_eq!(program.process.terminate(), Some(0));
}
