//! Addresses that other machines can reach.

use windrow_server::config::Config;

use crate::support::Windrow;
use crate::support::database::new_database;
use crate::support::program::{self, Program};
use crate::support::tls::TlsFiles;

/// All addresses of the machine, with a free port.
const EVERYWHERE: &str = "0.0.0.0:0";

#[tokio::test]
async fn an_address_that_others_can_reach_needs_tls_and_client_certificates() {
    let files = TlsFiles::new();
    let path = |name: &str| files.path(name).display().to_string();
    let (certificate, key) = (path("cert.pem"), path("key.pem"));
    let tls = ["--tls-certificate", &*certificate, "--tls-key", &*key];
    let (no_tls, no_clients) = ("TLS (--tls-certificate", "client certificates (--tls-client-ca)");
    for (given, missing) in [(&[][..], &[no_tls, no_clients][..]), (&tls, &[no_clients])] {
        let said = refused(&[&["--listen", EVERYWHERE], given].concat());
        assert!(said.contains("error: --listen 0.0.0.0:0: other machines can reach"), "{said}");
        assert!(said.contains("or accept the risk with --insecure"), "{said}");
        for protection in [no_tls, no_clients] {
            assert_eq!(said.contains(protection), missing.contains(&protection), "{said}");
        }
    }
    let metrics = ["--listen", "127.0.0.1:0", "--metrics-listen", EVERYWHERE];
    let said = refused(&metrics);
    assert!(said.contains("error: --metrics-listen 0.0.0.0:0: other machines can"), "{said}");
    assert!(said.contains(no_tls) && !said.contains(no_clients), "{said}");

    let files = TlsFiles::mutual();
    let protected = |config: &mut Config| {
        config.listen = EVERYWHERE.parse().unwrap();
        config.metrics_listen = Some(EVERYWHERE.parse().unwrap());
        config.tls = files.settings();
    };
    Windrow::start_plainly(protected).await.stop().await;
}

#[tokio::test]
async fn insecure_serves_others_with_a_warning() {
    let listen = |config: &mut Config| {
        config.listen = EVERYWHERE.parse().unwrap();
        config.insecure = true;
    };
    Windrow::start_plainly(listen).await.stop().await;
    let url = new_database().await;
    let flags = ["--database-url", &url, "--insecure"];
    let exposed =
        Program::start(&[&flags[..], &["--metrics-listen", EVERYWHERE]].concat(), "", &[]);
    let line = exposed.log_line("Other machines can use 0.0.0.0:0 without TLS, as").await;
    assert!(line.contains("WARN") && line.contains("--insecure"), "{line}");
    assert_eq!(exposed.process.terminate(), Some(0));

    let local = Program::start(&flags, "", &[]);
    assert_eq!(local.count_log_lines("Other machines"), 0);
    assert_eq!(local.process.terminate(), Some(0));
}

/// What a server says that does not start. It needs no database to say so.
fn refused(flags: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut command = program::command("windrow-server");
    command.current_dir(dir.path()).args(["--database-url", "postgres://127.0.0.1:1/none"]);
    let output = command.args(flags).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}
