//! A complete worker: a source of synthetic listings, and a stop on Ctrl-C.
//!
//! Declare the source in the server's `windrow.toml`, and start the server again:
//!
//! ```toml
//! [sources.example]
//! kind = "worker"
//! ```
//!
//! ```text
//! cargo run -p windrow-example-worker
//! windrow runs submit --source example --location "Indianapolis, IN" --watch
//! ```

use std::time::Duration;

use windrow_client::worker::{
    CancellationToken, Level, Map, Property, Source, SourceError, Task, Worker, async_trait,
};
use windrow_client::{Client, Error};

/// Listings that a location has here.
const LISTINGS: u32 = 20;

struct Example;

#[async_trait]
impl Source for Example {
    fn timeout(&self) -> Duration {
        Duration::from_mins(1)
    }

    async fn scrape(&self, task: &Task) -> Result<(), SourceError> {
        if task.location().contains("Atlantis") {
            return Err(SourceError::permanent("there is no such place"));
        }
        task.log(format!("searching {}", task.location()));
        for number in 1..=LISTINGS.min(task.request().limit) {
            // A cancellation or the timeout drops the source here.
            tokio::time::sleep(Duration::from_millis(200)).await;
            task.push(listing(task.location(), number)).await?;
        }
        task.log_at(Level::Debug, "no more pages");
        Ok(())
    }
}

fn listing(location: &str, number: u32) -> Property {
    let body = [
        ("city", location.into()),
        ("list_price", (200_000 + 10_000 * number).into()),
        ("listing_type", "FOR_SALE".into()),
    ];
    let body: Map<_, _> = body.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Property::new(format!("{location}-{number}"), body)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let server = std::env::var("WINDROW_SERVER").unwrap_or_else(|_| "127.0.0.1:50051".to_owned());
    let client = Client::connect(&server).await?;
    let stop = CancellationToken::new();
    let worker = Worker::new(&client).source("example", Example).capacity(4).run(stop.clone());
    tokio::pin!(worker);
    tokio::select! {
        result = &mut worker => return result,
        _signal = tokio::signal::ctrl_c() => stop.cancel(),
    }
    worker.await
}
