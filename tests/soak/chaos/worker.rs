//! Worker processes of the chaos suite, in Rust and Python.

use std::process::{Command, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, json};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use windrow_client::Client;
use windrow_client::worker::{Property, Source, SourceError, Task, Worker};

use super::ROWS;
use crate::support::{PATIENCE, python};

/// Address of the server; makes the test program a worker.
const VARIABLE: &str = "WINDROW_CHAOS_WORKER";

/// Yields rows that name the attempt that read them.
struct Rows;

#[async_trait]
impl Source for Rows {
    fn timeout(&self) -> Duration {
        PATIENCE
    }

    async fn scrape(&self, task: &Task) -> Result<(), SourceError> {
        let (job_id, attempt) = (&task.request().job_id, task.request().attempt);
        for number in 1..=ROWS {
            let id = format!("{job_id} {} {number}", task.location());
            let body = Map::from_iter([("attempt".to_owned(), json!(attempt))]);
            task.push(Property::new(id, body)).await?;
            sleep(Duration::from_millis(30)).await;
        }
        task.log(format!("attempt {attempt}"));
        Ok(())
    }
}

/// This test program as a worker.
pub fn rust_worker(server: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "chaos::worker::process", "--ignored"]).env(VARIABLE, server);
    quiet(command)
}

pub fn python_worker(server: &str) -> Command {
    let mut command = python::script("chaos_worker.py", server);
    command.env("WINDROW_CHAOS_ROWS", ROWS.to_string());
    quiet(command)
}

/// Workers report every fault; drop that.
fn quiet(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[tokio::test]
#[ignore = "a worker process that the chaos suite starts"]
async fn process() {
    let Ok(server) = std::env::var(VARIABLE) else { return };
    let client = Client::connect_lazy(&server).unwrap();
    let worker = Worker::new(&client).source("rust", Rows).capacity(3);
    worker.run(CancellationToken::new()).await.unwrap();
}
