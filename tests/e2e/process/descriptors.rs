//! A server with few descriptors, and clients that hold connections without a word.

use std::process::Command;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use windrow_client::{Client, proto};

use super::server;
use crate::support::database::new_database;
use crate::support::program::Process;
use crate::support::{PATIENCE, eventually, job, parameters};
use proto::ScrapingJobStatus as Status;

const SETTINGS: &str = r#"
[sources.exec]
kind = "exec"
command = ["sh", "-c", "echo '{\"property_id\": \"1\"}'"]
"#;

#[tokio::test]
async fn silent_connections_do_not_keep_others_out_and_are_closed() {
    let url = new_database().await;
    let dir = tempfile::tempdir().unwrap();
    let direct = server(dir.path(), &url, SETTINGS);
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let script = r#"ulimit -n 256; exec "$0" --listen "$1" --database-url "$2""#;
    let name = address.to_string();
    let _server = Process::spawn(
        Command::new("sh")
            .args(["-c", script])
            .arg(direct.get_program())
            .args([&name, &url])
            .current_dir(dir.path()),
    );
    drop(eventually("the server answers", || Client::connect(&name)).await);

    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let client = Client::connect(&name).await.unwrap();
    let exec = proto::ScheduledJob { parameters: Some(parameters("exec")), ..job("job") };
    client.create_job(exec).await.unwrap();
    let run = client.trigger_and_wait("job").await.unwrap();

    assert_eq!((run.status(), run.attempt), (Status::Completed, 1));
    for mut silent in silent {
        let mut received = Vec::new();
        let end = timeout(PATIENCE, silent.read_to_end(&mut received)).await;
        end.expect("a silent connection stays open").ok();
    }
    // One that has spoken stays.
    timeout(Duration::from_secs(30), client.get_job("job")).await.unwrap().unwrap();
}
