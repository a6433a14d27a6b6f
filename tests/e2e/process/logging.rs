//! Nothing that happens to the log stops the server, nor keeps it from stopping.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, PipeReader, Write as _, pipe};
use std::net::TcpListener;
use std::process::Stdio;

use windrow_client::Client;

use super::server;
use crate::support::database::new_database;
use crate::support::program::{Process, command};
use crate::support::{eventually, job};

/// Debug lines of HTTP/2 fill a pipe and the queue within some hundred calls.
const SETTINGS: &str = "log = \"debug\"\n[sources.quick]\nkind = \"sample\"\n";

/// A running server and the metric of lines that it has dropped.
struct Logging {
    process: Process,
    client: Client,
    metrics: String,
    _dir: tempfile::TempDir,
}

impl Logging {
    async fn start(stderr: impl Into<Stdio>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = new_database().await;
        let (address, metrics) = (free_address(), free_address());
        let process = Process::spawn(
            server(dir.path(), &url, SETTINGS)
                .args(["--listen", &address, "--metrics-listen", &metrics])
                .stderr(stderr),
        );
        let client = eventually("the server answers", || Client::connect(&address)).await;
        Self { process, client, metrics, _dir: dir }
    }

    /// Makes calls until lines are dropped.
    async fn drops_lines(&self) {
        self.client.create_job(job("job")).await.unwrap();
        eventually("lines are dropped", async || {
            for _ in 0..50 {
                self.client.get_job("job").await.unwrap();
            }
            let dropped = self.metric("windrow_log_lines_dropped_total").await;
            if dropped > 0.0 { Ok(()) } else { Err(dropped) }
        })
        .await;
    }

    async fn metric(&self, name: &str) -> f64 {
        // reqwest asks for it even without TLS.
        rustls::crypto::ring::default_provider().install_default().ok();
        let url = format!("http://{}/metrics", self.metrics);
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

/// A port that was free a moment ago, for a server that cannot say which one it has.
pub(super) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn lines(log: PipeReader) -> impl Iterator<Item = String> {
    BufReader::new(log).lines().map_while(Result::ok)
}

#[tokio::test]
async fn a_log_whose_reader_has_gone_does_not_matter() {
    let (reader, writer) = pipe().unwrap();
    let server = Logging::start(writer).await;
    drop(reader);
    server.drops_lines().await;
    assert_eq!(server.process.terminate(), Some(0));
}

#[tokio::test]
async fn a_log_on_a_full_disk_does_not_matter() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let server = Logging::start(full).await;
    server.drops_lines().await;
    assert_eq!(server.process.terminate(), Some(0));
}

#[tokio::test]
async fn a_reader_that_hangs_delays_nothing_and_learns_what_it_missed() {
    let (reader, writer) = pipe().unwrap();
    let server = Logging::start(writer).await;
    server.drops_lines().await;
    // It does not read until here.
    let reading = tokio::task::spawn_blocking(|| {
        lines(reader).find(|line| line.contains("Dropped") && line.contains("log lines"))
    });
    assert!(reading.await.unwrap().is_some());
    assert_eq!(server.process.terminate(), Some(0));
}

#[tokio::test]
async fn a_server_stops_while_the_reader_of_its_log_hangs() {
    let (reader, writer) = pipe().unwrap();
    let server = Logging::start(writer).await;
    server.drops_lines().await;
    assert_eq!(server.process.terminate(), Some(0));
    drop(reader);
}

#[test]
fn an_error_of_the_start_does_not_wait_for_a_reader_that_hangs() {
    let (reader, mut writer) = pipe().unwrap();
    // The size of a pipe: no space is left.
    writer.write_all(&vec![b'\n'; 64 * 1024]).unwrap();
    let process = Process::spawn(command("windrow-server").args(["--lease", "x"]).stderr(writer));
    assert_eq!(process.wait(), Some(1));
    drop(reader);
}
