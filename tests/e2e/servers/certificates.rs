//! Certificates that are replaced while the server runs, and files that cannot be used.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use futures::StreamExt as _;
use rustls::pki_types::CertificateDer;
use windrow_client::WatchEvent;
use windrow_client::proto::ScrapingJobStatus as Status;

use crate::support::database::new_database;
use crate::support::program::{self, Program};
use crate::support::tls::{HOST, Pair, TlsFiles};
use crate::support::{Windrow, eventually};

/// A key that openssl has encrypted with a passphrase; only its header matters.
const ENCRYPTED: &str =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGj\n-----END ENCRYPTED PRIVATE KEY-----\n";

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_ends_no_stream() {
    let files = TlsFiles::new();
    let windrow = Windrow::start_with_tls(&files, |_| {}).await;
    windrow.create("job").await;
    let mut events = windrow.client.watch_all().events();
    while !matches!(events.next().await, Some(Ok(WatchEvent::Synced))) {}
    let new = files.authority.sign(HOST);

    files.write(&new);
    shows(&files, &windrow.address(), &new).await;
    let run = windrow.trigger("job").await.job_id;

    // No interruption before the end of the run.
    loop {
        match events.next().await.unwrap().unwrap() {
            WatchEvent::Interrupted(error) => panic!("the stream was interrupted: {error}"),
            event => {
                if event.run().is_some_and(|it| it.status() == Status::Completed) {
                    assert_eq!(event.run().unwrap().job_id, run);
                    break;
                }
            }
        }
    }
    windrow.stop().await;
}

#[tokio::test]
async fn a_broken_new_file_keeps_the_certificate_in_use() {
    let files = TlsFiles::new();
    let url = new_database().await;
    let server = start(&files, &["--database-url", &url]);
    let before = files.shown(&server.address, None).await.unwrap();
    let next = files.authority.sign(HOST);

    std::fs::write(files.path("cert.pem"), &next.certificate).unwrap();
    let mismatch = server.log_line("the key does not belong to the certificate").await;
    std::fs::write(files.path("key.pem"), "-----BEGIN PRIVATE KEY-----\nx").unwrap();
    let damaged = server.log_line("the file is damaged").await;
    let during = files.shown(&server.address, None).await.unwrap();
    std::fs::write(files.path("key.pem"), &next.key).unwrap();
    shows(&files, &server.address, &next).await;

    let key =
        format!("Kept the TLS certificate in use: tls_key {}", files.path("key.pem").display());
    for line in [mismatch, damaged] {
        assert!(line.contains("ERROR") && line.contains(&key), "{line}");
    }
    assert_eq!(server.count_log_lines("the key does not belong"), 1);
    assert_eq!(during, before);
    assert_eq!(server.process.terminate(), Some(0));
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_logged() {
    let files = TlsFiles::new();
    files.write(&files.authority.sign_until(HOST, 2020));
    std::fs::set_permissions(files.path("key.pem"), std::fs::Permissions::from_mode(0o644))
        .unwrap();
    let url = new_database().await;
    let server = start(&files, &["--database-url", &url]);

    let ended = server.log_line("certificate has ended at 2020-01-01 00:00:00 UTC").await;
    let readable = server.log_line("Every user of this machine can read the TLS key").await;

    assert!(ended.contains("ERROR"), "{ended}");
    assert!(readable.contains("WARN") && readable.contains("chmod o-r"), "{readable}");
    assert_eq!(server.process.terminate(), Some(0));
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_with_the_reason() {
    let files = TlsFiles::new();
    let good = files.authority.sign(HOST);
    let foreign = TlsFiles::new().authority.sign(HOST);
    let pair = |certificate: &str, key: &str| Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
    };
    for (pair, named, reason) in [
        (pair("", &good.key), "tls_certificate", "contains no certificate"),
        (pair(&good.key, &good.key), "tls_certificate", "contains no certificate"),
        (pair(&good.certificate, &good.certificate), "tls_key", "contains no private key"),
        (pair(&good.certificate, ENCRYPTED), "tls_key", "is encrypted"),
        (pair(&good.certificate, &foreign.key), "tls_key", "does not belong to the certificate in"),
        (pair(&good.certificate[..200], &good.key), "tls_certificate", "is damaged"),
    ] {
        files.write(&pair);
        let said = refused(&files).await;
        let file = if named == "tls_key" { "key.pem" } else { "cert.pem" };
        let expected = format!("error: {named} {}: ", files.path(file).display());
        assert!(said.contains(&expected) && said.contains(reason), "{reason}: {said}");
        assert!(!said.contains("MIG"), "a key is shown: {said}");
    }
    std::fs::remove_file(files.path("key.pem")).unwrap();
    let said = refused(&files).await;
    assert!(said.contains("failed to read the file: No such file"), "{said}");
}

fn flags(files: &TlsFiles) -> [String; 4] {
    let text = |name: &str| files.path(name).display().to_string();
    ["--tls-certificate".to_owned(), text("cert.pem"), "--tls-key".to_owned(), text("key.pem")]
}

fn start(files: &TlsFiles, more: &[&str]) -> Program {
    let flags = flags(files);
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
    Program::start(&flags, "", &[])
}

/// What a server says that does not start with these files. It needs no database to say so.
async fn refused(files: &TlsFiles) -> String {
    let (flags, dir) = (flags(files), files.dir.path().to_owned());
    let run = move || -> Output { serve(&flags, &dir) };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

fn serve(flags: &[String], dir: &Path) -> Output {
    let mut command = program::command("windrow-server");
    let database = ["--database-url", "postgres://127.0.0.1:1/none", "--listen", "127.0.0.1:0"];
    command.current_dir(dir).args(database).args(flags).output().unwrap()
}

/// Waits until new connections see a certificate.
async fn shows(files: &TlsFiles, address: &str, pair: &Pair) {
    eventually("new connections see the new certificate", async || {
        let shown: CertificateDer<'_> = files.shown(address, None).await.unwrap();
        if shown == pair.der() { Ok(()) } else { Err(()) }
    })
    .await;
}
