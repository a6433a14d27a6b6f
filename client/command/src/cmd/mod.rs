//! The commands: each module has the arguments of a command next to what it does.

pub(crate) mod apply;
pub(crate) mod backfill;
pub(crate) mod context;
pub(crate) mod jobs;
pub(crate) mod preview;
pub(crate) mod properties;
pub(crate) mod runs;
pub(crate) mod shell;
pub(crate) mod ticks;
pub(crate) mod watch;

use std::io::{self, BufRead, IsTerminal, Write};

use windrow_client::{Client, Code};

use crate::failure::Failure;

/// An error if the server does not have this job: its runs would be empty, as those of a mistyped id. Runs that were
/// imported without their job count.
async fn check_job(client: &Client, id: &str) -> Result<(), Failure> {
    match client.get_job(id).await {
        Err(error) if error.code() == Code::NotFound => {
            let runs = client.list_runs().job(id).page_size(1).await?;
            if runs.scraping_jobs.is_empty() { Err(error.into()) } else { Ok(()) }
        }
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

/// Asks a yes-or-no question on the terminal; without one, `usage` is the error.
fn confirm(question: &str, usage: &'static str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(usage));
    }
    write!(io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    let unread = |error| Failure::Refused(format!("cannot read the answer: {error}; pass --yes"));
    io::stdin().lock().read_line(&mut answer).map_err(unread)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
