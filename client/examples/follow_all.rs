//! Prints every run that ends, including runs that ended while this program was not running: the resume token
//! is stored in a file. After a kill between printing and storing, the last line is printed again.
//!
//! ```text
//! cargo run -p windrow-client --example follow_all -- resume.token
//! ```
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its reader")]

use std::error::Error as StdError;
use std::io::ErrorKind;

use futures::StreamExt;
use windrow_client::{Client, Error, WatchEvent};

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let file = std::env::args().nth(1).unwrap_or_else(|| "resume.token".to_owned());
    let server = std::env::var("WINDROW_SERVER").unwrap_or_else(|_| "127.0.0.1:50051".to_owned());
    let token = match std::fs::read_to_string(&file) {
        Ok(token) => token,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error.into()),
    };
    let client = Client::connect(&server).await?;
    let mut events = client.watch_all().resume_from(token).events();
    while let Some(event) = events.next().await {
        match event {
            Ok(WatchEvent::Changed(run)) if run.completed_at.is_some() => {
                println!("{} {:?}, {} saved", run.job_id, run.status(), run.properties_saved);
            }
            Ok(WatchEvent::Interrupted(error)) => eprintln!("{error}; reconnecting"),
            // Some ends were missed for good: list the runs to find them. The next start begins a new watch.
            Err(error @ (Error::TokenExpired(_) | Error::FeedReset(_))) => {
                std::fs::remove_file(&file)?;
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        // Store the token after handling the event, and also while nothing ends: old tokens expire.
        if !events.resume_token().is_empty() {
            std::fs::write(&file, events.resume_token())?;
        }
    }
    Ok(())
}
