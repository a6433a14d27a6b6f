//! TLS of the server, with the client library, the command, and clients that do not fit.

use std::io::ErrorKind;
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use windrow_client::{Client, Error, proto};
use windrow_server::sources::{SourceSettings, WorkerSettings};

use crate::support::program::Process;
use crate::support::python::{SCRIPTS, install, run, script, with_requirements};
use crate::support::tls::{Authority, HOST, TlsFiles};
use crate::support::{Windrow, job, parameters, program};

/// A hello of TLS 1.1 with two of its ciphers, and the record that the server answers: a fatal alert because of the
/// version.
const HELLO_OF_TLS_1_1: &[u8] = &[
    0x16, 3, 1, 0, 0x39, 1, 0, 0, 0x35, 3, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 0, 0, 4, 0xc0, 0x13, 0,
    0x2f, 1, 0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3,
];
const ALERT_OF_THE_VERSION: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 70];

#[tokio::test]
async fn a_client_that_trusts_the_authority_connects_over_tls() {
    let files = TlsFiles::new();
    let windrow = Windrow::start_with_tls(&files, |_| {}).await;
    windrow.create("job").await;
    let builder = || Client::builder().endpoint(windrow.secure_address()).bearer_token("secret");

    let trusting = builder().ca_certificate(files.authority.pem.clone()).connect().await.unwrap();
    let run = trusting.trigger_and_wait("job").await.unwrap();
    let wary = builder().ca_certificate(Authority::new().pem).connect().await.unwrap_err();
    let misled =
        builder().ca_certificate(files.authority.pem.clone()).domain_name("windrow.example");
    let misled = misled.connect().await.unwrap_err();

    assert_eq!(windrow.get_run(&run.job_id).await, run);
    assert!(matches!(wary, Error::Connect { .. }), "{wary:?}");
    assert!(matches!(misled, Error::Connect { .. }), "{misled:?}");
    windrow.stop().await;
}

#[tokio::test]
async fn a_context_holds_the_tls_settings_and_the_token_of_its_server() {
    let files = TlsFiles::new();
    let windrow = Windrow::start_with_tls(&files, |_| {}).await;
    windrow.create("job").await;
    let plain = Windrow::start().await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ca.pem"), &files.authority.pem).unwrap();
    std::fs::write(dir.path().join("token"), "secret\n").unwrap();
    let (address, plain_address) = (windrow.secure_address(), plain.address());

    let codes = tokio::task::spawn_blocking(move || {
        let code = |arguments: &[&str]| {
            let mut command = program::command("windrow");
            command.env("XDG_CONFIG_HOME", dir.path()).current_dir(dir.path());
            command.args(arguments).output().unwrap().status.code().unwrap()
        };
        let files = ["--ca-file", "ca.pem", "--token-file", "token"];
        let set = ["context", "set", "safe", "--server", &address];
        [
            code(&[&set[..], &files].concat()),
            code(&["context", "use", "safe"]),
            code(&["trigger", "job", "--watch"]),
            // What the context trusts is not for another server, and without it there is no trust.
            code(&["jobs", "list", "--server", &address]),
            code(&["jobs", "list", "--server", &plain_address]),
        ]
    });

    assert_eq!(codes.await.unwrap(), [0, 0, 0, 1, 0]);
    plain.stop().await;
    windrow.stop().await;
}

#[tokio::test]
async fn a_python_client_gets_the_specified_behavior_over_tls() {
    let python = tokio::task::spawn_blocking(with_requirements).await.unwrap();
    let files = TlsFiles::new();
    let windrow = Windrow::start_with_tls(&files, |_| {}).await;
    let address = windrow.secure_address().trim_start_matches("https://").to_owned();
    let authority = files.path("ca.pem");
    let script = tokio::task::spawn_blocking(move || {
        let script = format!("{SCRIPTS}/reflection.py");
        run(Command::new(python).arg(script).arg(address).arg(authority))
    });

    let output = script.await.unwrap();

    assert_eq!(output.trim(), "All of the seed's behaviours hold.");
    windrow.stop().await;
}

#[tokio::test]
async fn with_a_client_authority_only_its_certificates_are_accepted() {
    let files = TlsFiles::mutual();
    let windrow = Windrow::start_plainly(|config| config.tls = files.settings()).await;
    let address = windrow.addr().to_string();
    let (own, foreign) = (files.authority.sign("worker"), Authority::new().sign("worker"));
    let old = files.authority.sign_until("worker", 2020);

    let accepted = files.shown(&address, Some(&own)).await;
    let without = files.shown(&address, None).await.unwrap_err();
    let foreign = files.shown(&address, Some(&foreign)).await.unwrap_err();
    let old = files.shown(&address, Some(&old)).await.unwrap_err();

    assert!(accepted.is_ok(), "{accepted:?}");
    assert!(without.to_string().contains("CertificateRequired"), "{without}");
    assert!(foreign.to_string().contains("UnknownCA"), "{foreign}");
    assert!(old.to_string().contains("CertificateExpired"), "{old}");
    windrow.stop().await;
}

#[tokio::test]
async fn clients_prove_themselves_with_their_certificates() {
    let files = TlsFiles::mutual();
    let windrow = Windrow::start_plainly(|config| config.tls = files.settings()).await;
    let address = format!("https://{HOST}:{}", windrow.addr().port());
    let own = files.authority.sign("caller");
    std::fs::write(files.path("own.pem"), &own.certificate).unwrap();
    std::fs::write(files.path("own-key.pem"), &own.key).unwrap();

    let builder =
        || Client::builder().endpoint(&address).ca_certificate(files.authority.pem.clone());
    let known = builder().client_certificate(own.certificate, own.key.clone()).connect().await;
    known.unwrap().list_jobs().await.unwrap();
    // In TLS 1.3 a client may believe to be connected before the server has seen its certificate.
    let unknown = builder().timeout(Duration::from_secs(2)).connect_lazy().unwrap();
    unknown.list_jobs().await.unwrap_err();
    let plain = Client::builder().endpoint("http://localhost:1").client_certificate("", "");
    let plain = plain.connect_lazy().unwrap_err().to_string();
    assert!(plain.contains("a client certificate requires TLS"), "{plain}");

    let dir = files.path("");
    let said = tokio::task::spawn_blocking(move || {
        let list = |flags: &[&str]| {
            let mut command = program::command("windrow");
            command.current_dir(&dir).args(["--server", &address, "--ca-file", "ca.pem"]);
            let output = command.args(["jobs", "list"]).args(flags).output().unwrap();
            (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
        };
        let certificate = ["--certificate-file", "own.pem"];
        [list(&[&certificate[..], &["--key-file", "own-key.pem"]].concat()), list(&certificate)]
    });
    let [known, without_key] = said.await.unwrap();
    assert_eq!(known.0, 0, "{}", known.1);
    assert!(without_key.1.contains("--certificate-file needs --key-file"), "{}", without_key.1);
    windrow.stop().await;
}

#[tokio::test]
async fn a_python_worker_proves_itself_with_its_certificate() {
    tokio::task::spawn_blocking(install).await.unwrap();
    let files = TlsFiles::mutual();
    let windrow = Windrow::start_plainly(|config| {
        config.tls = files.settings();
        let declared = SourceSettings::Worker(WorkerSettings::default());
        config.sources.insert("py".to_owned(), declared);
    })
    .await;
    let address = format!("https://{HOST}:{}", windrow.addr().port());
    let own = files.authority.sign("worker");
    std::fs::write(files.path("own.pem"), &own.certificate).unwrap();
    std::fs::write(files.path("own-key.pem"), &own.key).unwrap();
    let client = Client::builder().endpoint(&address).ca_certificate(files.authority.pem.clone());
    let client = client.client_certificate(own.certificate, own.key).connect().await.unwrap();
    let job = proto::ScheduledJob { parameters: Some(parameters("py")), ..job("job") };
    client.create_job(job).await.unwrap();

    let mut command = script("worker.py", &address);
    command.env("WINDROW_CA_FILE", files.path("ca.pem"));
    command.env("WINDROW_CERTIFICATE_FILE", files.path("own.pem"));
    command.env("WINDROW_KEY_FILE", files.path("own-key.pem"));
    let _worker = Process::spawn(&mut command);

    let run = client.trigger_and_wait("job").await.unwrap();
    assert_eq!(run.status(), proto::ScrapingJobStatus::Completed, "{run:#?}");
    windrow.stop().await;
}

#[tokio::test]
async fn old_versions_and_plain_text_are_refused_and_do_not_disturb_others() {
    let files = TlsFiles::new();
    let windrow = Windrow::start_with_tls(&files, |config| {
        config.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let address = windrow.address();
    // It says nothing, and the others do not wait for it.
    let _silent = TcpStream::connect(&address).await.unwrap();

    let old = answer(&address, HELLO_OF_TLS_1_1).await;
    let plain = answer(&address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let metrics = answer(&windrow.metrics_address(), b"GET /metrics HTTP/1.1\r\n\r\n").await;
    let page = files.page(&windrow.metrics_address(), "/metrics").await.unwrap();

    assert_eq!(old, ALERT_OF_THE_VERSION);
    for refused in [plain, metrics] {
        assert!(matches!(refused[..], [0x15, 3, ..]), "{refused:?}");
    }
    windrow.create("job").await;
    let value = |name: &str| {
        let mut values = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        values.next().unwrap_or_else(|| panic!("no {name} in {page}")).to_owned()
    };
    assert_eq!(value("windrow_tls_handshake_failures_total"), "3");
    // The first second of 2040.
    assert_eq!(value("windrow_tls_certificate_not_after_timestamp_seconds"), "2208988800");
    windrow.stop().await;
}

/// Everything that a server answers until it closes the connection.
async fn answer(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer).await {
        Ok(_) => answer,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => answer,
        Err(error) => panic!("{error}"),
    }
}
