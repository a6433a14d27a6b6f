//! Secrets from every place that takes one, searched in everything that the programs say.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use tokio::net::TcpListener;
use windrow_client::{Client, proto};
use windrow_server::supervisor::Supervisor;

use crate::support::cluster::Cluster;
use crate::support::database::new_database;
use crate::support::program::{Program, command, open_to_all, windrow};
use crate::support::{job, parameters};
use proto::ScrapingJobStatus as Status;

/// A part of all secrets, as text, as bytes, and in base64 at each of the three offsets.
const FORMS: [&str; 5] = ["s3cr3t", "115, 51, 99, 114, 51, 116", "czNjcjN0", "MzY3Izd", "M2NyM3R"];

fn assert_hidden(place: &str, text: &str) {
    let said = text.lines().find(|line| FORMS.iter().any(|form| line.contains(form)));
    assert_eq!(said, None, "in {place}");
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

/// The settings of a server whose sources all fail.
fn sources(service: &str, token_file: &Path) -> String {
    let token_file = token_file.display();
    format!(
        r#"log = "trace"
[sources.exec]
kind = "exec"
command = ["sh", "-c", "env >&2; echo $0 $2 >&2; printf '%s\\n' \"last $API_KEY\" >&2; exit 3", "a", "--token", "s3cr3t-argument"]
environment = {{ API_KEY = "s3cr3t-variable", FEED = "https://me:s3cr3t-url@host/" }}
pass_environment = ["FEED_TOKEN", "OTHER_FEED"]
[sources.token]
kind = "reso"
url = "{service}/token"
token = "s3cr3t-token"
[sources.file]
kind = "reso"
url = "{service}/file"
token_file = "{token_file}"
[sources.password]
kind = "reso"
url = "{}/password"
token = "s3cr3t-token"
[sources.oauth2]
kind = "reso"
url = "{service}/oauth2"
oauth2 = {{ token_url = "{service}/token?api_key=s3cr3t-query", client_id = "a", client_secret = "s3cr3t-client" }}
"#,
        service.replace("http://", "http://me:s3cr3t-user@")
    )
}

/// A service that refuses every request and repeats all of it.
async fn refusing_service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(async |request: Request| {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 10_000).await.unwrap();
        (StatusCode::UNAUTHORIZED, format!("{head:?} {}", String::from_utf8_lossy(&body)))
    });
    Supervisor::default().work(async { axum::serve(listener, app).await.unwrap() });
    address
}

/// Runs a source to its failure, in a job of its own.
async fn failed_run(server: &Program, source: &str, job_id: &str) -> String {
    let client = Client::connect(&server.address).await.unwrap();
    let policy = proto::RunPolicy { max_attempts: Some(1), ..Default::default() };
    let scheduled = proto::ScheduledJob {
        parameters: Some(parameters(source)),
        policy: Some(policy),
        ..job(job_id)
    };
    client.create_job(scheduled).await.unwrap();
    let run = client.trigger_and_wait(job_id).await.unwrap();
    assert_eq!(run.status(), Status::Failed, "{run:#?}");
    assert_hidden("the run", &format!("{run:#?}"));
    run.job_id
}

#[tokio::test]
async fn a_server_with_failing_sources_tells_no_secret() {
    // reqwest asks for it even without TLS.
    rustls::crypto::ring::default_provider().install_default().ok();
    let (metrics, service) = (super::logging::free_address(), refusing_service().await);
    let dir = tempfile::tempdir().unwrap();
    let token_file = dir.path().join("token");
    fs::write(&token_file, "s3cr3t-file\n").unwrap();
    let settings = sources(&service, &token_file);
    let mut url = url::Url::parse(&new_database().await).unwrap();
    url.set_password(Some("s3cr3t-database")).unwrap();
    let environment = [
        ("DATABASE_URL", url.as_str()),
        ("FEED_TOKEN", "s3cr3t-passed"),
        ("OTHER_FEED", "https://me:s3cr3t-passed-url@host/"),
        ("UNRELATED", "s3cr3t-unrelated"),
    ];
    fs::write(dir.path().join("windrow.toml"), &settings).unwrap();
    for arguments in [&["config"][..], &["source", "check", "exec", "--location", "x"]] {
        let output = run_with(dir.path(), arguments, &environment);
        assert_hidden(&format!("{arguments:?}"), &said(&output));
    }
    for format in ["text", "json"] {
        let flags = ["--metrics-listen", &metrics, "--log-format", format];
        let server = Program::start(&flags, &settings, &environment);
        for source in ["exec", "token", "file", "password", "oauth2"] {
            let run = failed_run(&server, source, &format!("{source}-{format}")).await;
            for arguments in [["runs", "get", &run], ["runs", "logs", &run]] {
                let output = windrow(&server.address, &arguments);
                assert!(output.status.success(), "{output:?}");
                assert_hidden(&format!("{arguments:?} of {source}"), &said(&output));
            }
        }
        let caller = command("windrow")
            .args(["--server", &server.address, "jobs", "list"])
            .env("WINDROW_TOKEN", "s3cr3t-caller")
            .output()
            .unwrap();
        assert_hidden("the list of jobs", &said(&caller));
        let answer = reqwest::get(format!("http://{metrics}/metrics")).await.unwrap();
        assert_hidden("metrics", &answer.text().await.unwrap());
        let id = server.process.id();
        assert_hidden("the arguments", &fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap());
        let log = server.log();
        assert!(log.contains("TRACE"), "the log is not at level trace");
        assert_hidden("the log", &log);
    }
}

fn run_with(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut server = command("windrow-server");
    server.args(arguments).args(["--log", "trace"]).current_dir(dir);
    server.envs(variables.iter().copied()).output().unwrap()
}

#[tokio::test]
async fn a_database_that_refuses_the_password_does_not_tell_it() {
    let rules = tempfile::tempdir().unwrap();
    open_to_all(rules.path());
    let file = rules.path().join("hba.conf");
    // In clear text, as a connection's trace would have it.
    fs::write(&file, "local all windrow trust\nlocal all all password\n").unwrap();
    let cluster = Cluster::start_with(&[&format!("hba_file={}", file.display())]).await;
    let refusing = cluster.url("postgres").replace("windrow@", "me:s3cr3t-password@");
    let port = super::logging::free_address();
    let closed = format!("postgres://me:s3cr3t-password@{port}/db");
    let in_query = format!("postgres://me@{port}/db?password=s3cr3t-query");
    let malformed = "postgres://me:s3cr3t/password@host/db".to_owned();
    for url in [refusing, closed, in_query, malformed] {
        let dir = tempfile::tempdir().unwrap();
        let empty = tempfile::tempdir().unwrap();
        let settings = dir.path().join("windrow.toml");
        fs::write(&settings, format!("database_url = \"{url}\"\n")).unwrap();
        for command in ["migrate", "config"] {
            let outputs = [
                ("a flag", run_with(empty.path(), &[command, "--database-url", &url], &[])),
                ("a variable", run_with(empty.path(), &[command], &[("DATABASE_URL", &url)])),
                ("the file", run_with(dir.path(), &[command], &[])),
            ];
            for (place, output) in outputs {
                assert_hidden(&format!("{command} with {place}, {url}"), &said(&output));
                assert!(command == "config" || !output.status.success(), "{output:?}");
            }
        }
    }
}

#[test]
fn the_log_warns_of_secrets_that_all_users_can_see() {
    let dir = tempfile::tempdir().unwrap();
    let (settings, token) = (dir.path().join("windrow.toml"), dir.path().join("token"));
    let text = format!(
        "[sources.x]\nkind = 'reso'\nurl = 'https://localhost:1/'\ntoken_file = '{}'\n\
         [sources.a]\nkind = 'exec'\ncommand = ['true']\nenvironment = {{ API_KEY = 'hush' }}\n",
        token.display()
    );
    fs::write(&settings, text).unwrap();
    fs::write(&token, "hush").unwrap();
    let warnings = |mode: u32, url: &str| {
        for file in [&settings, &token] {
            fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
        }
        let mut server: Command = command("windrow-server");
        server.args(["source", "check", "a", "--location", "x", "--database-url", url]);
        said(&server.current_dir(dir.path()).output().unwrap())
    };
    let exposed = warnings(0o644, "postgres://me:hush@localhost/db");
    for expected in [
        "--database-url contains a password",
        "windrow.toml contains a secret",
        "token contains a secret",
    ] {
        assert!(exposed.contains(expected), "{expected}: {exposed}");
    }
    let private = warnings(0o640, "postgres://me@localhost/db");
    assert!(!private.contains(" contains a "), "{private}");
}
