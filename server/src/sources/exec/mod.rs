//! The `exec` source: one program per location. It reads a request as JSON and writes JSON lines.
//!
//! # Settings
//!
//! | key | meaning | default |
//! | --- | --- | --- |
//! | `command` | program and arguments, without a shell; found in `PATH` unless it contains a slash | required |
//! | `timeout` | maximum time for one location, up to `"24h"` | `"10m"` |
//! | `working_dir` | directory in which the program starts | the server's |
//! | `environment` | table of additional environment variables | none |
//!
//! # Environment
//!
//! The program inherits `PATH`, `HOME`, `LANG`, `LC_*`, `TZ` and `TMPDIR` and nothing else of the server's
//! environment, which may contain secrets. `environment` is added, then `WINDROW_JOB_ID`, `WINDROW_ATTEMPT`
//! and `WINDROW_LOCATION`.
//!
//! # Input and output
//!
//! - stdin: one line with one JSON object, then the end: `schema` (1), `job_id`, `attempt`,
//!   `scheduled_job_id` (or null), `origin`, `tick_at` (or null), `reference_time`, `location`, and
//!   `parameters` as protobuf's JSON with `snake_case` names. A program need not read it.
//! - stdout: UTF-8, one JSON object per line of at most 1 MiB, with a `property_id` of 1 to 200 characters.
//!   All other fields are stored. Blank lines are ignored. An invalid line fails the location; properties
//!   before it are kept.
//! - stderr: lines of the run's log, shown while the program works. Of a long log the first 250 lines and
//!   the last 240 (at most 64 KiB) are kept.
//!
//! # End
//!
//! | exit | result of the location |
//! | --- | --- |
//! | code 0 | complete |
//! | code 78 (`EX_CONFIG`) | failed for good: another attempt does not repeat it |
//! | another code, a signal | failed, with the last line of stderr as the reason; another attempt repeats it |
//!
//! A program that writes more properties than the run's own `limit` is ended, and the location is complete.
//! Without a limit in the run, more than 10,000 properties fail the location.
//!
//! At the timeout, and when the run is cancelled or the lease is lost, the program's process group gets
//! SIGTERM, and SIGKILL one second later. Processes that the program leaves behind are killed one second
//! after its exit. A process that leaves the group with `setsid` is not tracked. Memory stays bounded
//! whatever the program writes.
//!
//! ```text
//! spawn -> converse -> leader exits -> read on (1 s idle) -> SIGKILL the rest -> reap -> exit status
//!             \--> invalid line, limit, cancellation ---> SIGTERM -> 1 s -> SIGKILL -> reap
//!              \-> the future is dropped ---------------> SIGKILL
//! ```

mod command;
mod conversation;
mod group;
mod lines;
mod request;
mod stderr;

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use self::conversation::{Ending, converse};
use self::group::{Group, REAP_TIMEOUT};
use self::stderr::Stderr;
use super::{ExecSettings, Source, SourceError, Task};

pub use self::request::{listing_type_name, parameters_json};

/// Time for the group after SIGTERM, after its leader's exit, and after the last property of a limit.
const GRACE: Duration = Duration::from_secs(1);

pub(super) struct ExecSource {
    settings: ExecSettings,
}

impl ExecSource {
    pub(super) fn new(settings: ExecSettings) -> Self {
        Self { settings }
    }
}

#[async_trait]
impl Source for ExecSource {
    fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    fn wind_down(&self) -> Duration {
        GRACE * 2 + REAP_TIMEOUT
    }

    async fn scrape(&self, task: &Task) -> Result<(), SourceError> {
        if task.is_cancelled() {
            return Err(SourceError::Stopped);
        }
        run_program(&self.settings, task).await
    }
}

async fn run_program(settings: &ExecSettings, task: &Task) -> Result<(), SourceError> {
    let mut group = command::spawn(settings, task.request())?;
    let mut stderr = Stderr::new(group.stderr(), task);
    match converse(task, &mut group, &mut stderr).await {
        Ok(()) => command::result_of_exit(group.reap().await, stderr.into_last_line()),
        Err(ending) => {
            end_group(&mut group, stderr).await;
            match ending {
                Ending::LimitReached => {
                    let limit = task.request().limit;
                    task.log(format!("windrow: ended the program after its first {limit} rows"));
                    Ok(())
                }
                Ending::Failed(error) => Err(error),
            }
        }
    }
}

/// Asks the group to end, waits for [`GRACE`], and kills it. Logs its stderr up to the end.
async fn end_group(group: &mut Group, mut stderr: Stderr<'_>) {
    group.members().terminate();
    let ended = async { tokio::join!(group.wait_for_leader(), stderr.read()) };
    if timeout(GRACE, ended).await.is_err() {
        tracing::debug!("A program ignored SIGTERM for a second and is killed");
    }
    stderr.into_last_line();
    if let Err(error) = group.reap().await {
        tracing::warn!(%error, "Failed to reap a killed program");
    }
}
