//! Follows the ends of all runs and misses none, also of the time when it was not running: it keeps its place
//! in a file. What it prints for the last one may come again after a kill, before the file was written.
//!
//! ```text
//! cargo run -p windrow-client --example follow_all -- place.token
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its reader")]

use std::error::Error as StdError;
use std::io::ErrorKind;

use futures::StreamExt;
use windrow_client::{Client, Error, WatchEvent};

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let file = std::env::args().nth(1).unwrap_or_else(|| "place.token".to_owned());
    let server = std::env::var("WINDROW_SERVER").unwrap_or_else(|_| "127.0.0.1:50051".to_owned());
    let place = match std::fs::read_to_string(&file) {
        Ok(token) => token,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error.into()),
    };
    let client = Client::connect(&server).await?;
    let mut events = client.watch_all().resume_from(place).events();
    while let Some(event) = events.next().await {
        match event {
            Ok(WatchEvent::Changed(run)) if run.completed_at.is_some() => {
                println!("{} {:?}, {} saved", run.job_id, run.status(), run.properties_saved);
            }
            Ok(WatchEvent::Interrupted(error)) => eprintln!("{error}; trying again"),
            // Some ends are lost for good. Whoever needs them reads the history; then all begins anew.
            Err(error @ (Error::TokenExpired(_) | Error::FeedReset(_))) => {
                std::fs::remove_file(&file)?;
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        // The place moves with what was handled, so it is written after that; also while nothing ends.
        if !events.resume_token().is_empty() {
            std::fs::write(&file, events.resume_token())?;
        }
    }
    Ok(())
}
