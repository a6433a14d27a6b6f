//! TLS with the client library and with the command.

use windrow_client::{Client, Error};

use crate::support::tls::TlsFront;
use crate::support::{Windrow, program};

#[tokio::test]
async fn a_client_that_trusts_the_authority_connects_over_tls() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let front = TlsFront::start(&windrow.address()).await;
    let builder = || Client::builder().endpoint(&front.address).bearer_token("secret");

    let trusting = builder().ca_certificate(front.authority.clone()).connect().await.unwrap();
    let run = trusting.trigger_and_wait("job").await.unwrap();
    let other = TlsFront::start(&windrow.address()).await.authority;
    let wary = builder().ca_certificate(other).connect().await.unwrap_err();
    let misled = builder().ca_certificate(front.authority.clone()).domain_name("windrow.example");
    let misled = misled.connect().await.unwrap_err();

    assert_eq!(windrow.get_run(&run.job_id).await, run);
    assert!(matches!(wary, Error::Connect { .. }), "{wary:?}");
    assert!(matches!(misled, Error::Connect { .. }), "{misled:?}");
    windrow.stop().await;
}

#[tokio::test]
async fn a_context_holds_the_tls_settings_and_the_token_of_its_server() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let front = TlsFront::start(&windrow.address()).await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ca.pem"), &front.authority).unwrap();
    std::fs::write(dir.path().join("token"), "secret\n").unwrap();
    let (address, plain) = (front.address.clone(), windrow.address());

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
            code(&["jobs", "list", "--server", &plain]),
        ]
    });

    assert_eq!(codes.await.unwrap(), [0, 0, 0, 1, 0]);
    windrow.stop().await;
}
