//! Triggers a run and waits for its end, across restarted servers and lost connections.
//!
//! ```text
//! cargo run -p windrow-client --example trigger_and_wait -- sample_sold_daily
//! ```
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::process::ExitCode;

use windrow_client::proto::ScrapingJobStatus as Status;
use windrow_client::{Client, Code, Error, TriggerJob};

#[tokio::main]
async fn main() -> Result<ExitCode, Error> {
    let job = std::env::args().nth(1).unwrap_or_else(|| "sample_sold_daily".to_owned());
    let server = std::env::var("WINDROW_SERVER").unwrap_or_else(|_| "127.0.0.1:50051".to_owned());
    let client = Client::connect(&server).await?;
    let request = TriggerJob::new(job).label("team", "examples");
    let run = match client.trigger_and_wait(request).await {
        Ok(run) => run,
        Err(error) if error.code() == Code::NotFound => {
            println!("{error}");
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(error),
    };
    match run.status() {
        Status::Completed => println!("{}: {} saved", run.job_id, run.properties_saved),
        Status::Cancelled => println!("{}: cancelled", run.job_id),
        _ => println!("{}: {}", run.job_id, run.error_message),
    }
    for failed in &run.failed_locations {
        println!("  {}: {}", failed.location, failed.reason);
    }
    Ok(if run.status() == Status::Completed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
