//! A dashboard on the terminal: active runs per scheduled job, and results since the start.
//!
//! ```text
//! cargo run -p windrow-client --example dashboard -- 'labels.team = sales'
//! ```

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::time::Duration;

use console::{Term, style};
use futures::TryStreamExt;
use windrow_client::proto::{ScrapingJob, ScrapingJobStatus as Status};
use windrow_client::{Client, WatchEvent};

const HEAD: [&str; 7] = ["JOB", "RUNNING", "PENDING", "COMPLETED", "FAILED", "CANCELLED", "SAVED"];

#[derive(Default)]
struct Dashboard {
    active: BTreeMap<String, ScrapingJob>,
    jobs: BTreeMap<String, Ended>,
    trouble: Option<String>,
}

/// Runs of one scheduled job that have ended.
#[derive(Default)]
struct Ended {
    completed: u64,
    failed: u64,
    cancelled: u64,
    saved: i64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let server = std::env::var("WINDROW_SERVER").unwrap_or_else(|_| "127.0.0.1:50051".to_owned());
    let client = Client::connect(&server).await?;
    // Only shows the current state, so the watch may start over if changes are lost.
    let mut events = client.watch_all().filter(filter).resync().events();
    let mut redraw = tokio::time::interval(Duration::from_millis(500));
    let (mut dashboard, terminal) = (Dashboard::default(), Term::stdout());
    loop {
        tokio::select! {
            event = events.try_next() => match event? {
                Some(event) => dashboard.take(event),
                None => return Ok(()),
            },
            _ = redraw.tick() => {
                terminal.clear_screen()?;
                dashboard.draw(&terminal)?;
            }
            pressed = tokio::signal::ctrl_c() => {
                pressed?;
                return Ok(terminal.clear_screen()?);
            }
        }
    }
}

impl Dashboard {
    fn take(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Interrupted(error) => self.trouble = Some(error.to_string()),
            WatchEvent::Resynced(_) => self.active.clear(),
            WatchEvent::Synced => self.trouble = None,
            WatchEvent::Current(run) | WatchEvent::Changed(run) | WatchEvent::Left(run) => {
                let job = self.jobs.entry(run.scheduled_job_id.clone()).or_default();
                match run.status() {
                    Status::Completed => job.completed += 1,
                    Status::Failed => job.failed += 1,
                    Status::Cancelled => job.cancelled += 1,
                    Status::Unspecified | Status::Pending | Status::Running => {
                        self.active.insert(run.job_id.clone(), run);
                        return;
                    }
                }
                job.saved += run.properties_saved;
                self.active.remove(&run.job_id);
            }
            // Kinds of events that later versions may add.
            _ => {}
        }
    }

    fn draw(&self, terminal: &Term) -> std::io::Result<()> {
        let [job, running, pending, completed, failed, cancelled, saved] = HEAD;
        terminal.write_line(&format!(
            "{job:<30}{running:>10}{pending:>10}{completed:>10}{failed:>10}{cancelled:>10}{saved:>10}"
        ))?;
        for (id, job) in &self.jobs {
            let of_job = self.active.values().filter(|run| run.scheduled_job_id == *id);
            let running = of_job.clone().filter(|run| run.status() == Status::Running).count();
            let (pending, saved) = (of_job.count() - running, job.saved);
            let (completed, cancelled) = (job.completed, job.cancelled);
            let failed = style(format!("{:>10}", job.failed));
            let failed = if job.failed > 0 { failed.red() } else { failed };
            let name = if id.is_empty() { "(one-off runs)" } else { id };
            terminal.write_line(&format!(
                "{name:<30}{running:>10}{pending:>10}{completed:>10}{failed}{cancelled:>10}{saved:>10}"
            ))?;
        }
        match &self.trouble {
            Some(trouble) => terminal.write_line(&style(trouble).red().to_string()),
            None => terminal.write_line("Press Ctrl-C to quit"),
        }
    }
}
