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
//! | `pass_environment` | names of further variables to inherit | none |
//! | `user` | user that the program runs as; only if root runs the server | the server's |
//! | `max_memory` | maximum memory of each process, such as `"2GiB"` | no limit |
//! | `max_processes` | maximum processes and threads of `user` | no limit |
//!
//! # Environment
//!
//! The program inherits `PATH`, `HOME`, `USER`, `LOGNAME`, `LANG`, `LC_*`, `TZ`, `TMPDIR` and `pass_environment`, and
//! nothing else of the server's environment, which may contain secrets. With `user`, `HOME`, `USER` and `LOGNAME` are
//! that user's. `environment` is added, then `WINDROW_JOB_ID`, `WINDROW_ATTEMPT` and `WINDROW_LOCATION`.
//!
//! # Rights
//!
//! The program gets no descriptors but stdin, stdout and stderr, and cannot gain rights: set-user-ID programs such as
//! `sudo` have no effect. With `user` it also has no capabilities and no other groups.
//!
//! # Input and output
//!
//! - stdin: one line with one JSON object, then the end: `schema` (1), `job_id`, `attempt`,
//!   `scheduled_job_id` (or null), `origin`, `tick_at` (or null), `reference_time`, `location`, and
//!   `parameters` as protobuf's JSON with `snake_case` names. A program need not read it.
//! - stdout: UTF-8, one JSON object per line of at most 1 MiB, with a `property_id` of 1 to 200 characters.
//!   All other fields are stored. Blank lines and a byte order mark are ignored. An invalid line fails the location;
//!   properties before it are kept.
//! - stderr: lines of the run's log, shown while the program works. Of a long log the first 1,500 lines and
//!   the last 480 (at most 64 KiB) are kept. A carriage return begins the line again, as on a terminal.
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
//! after its exit. In `windrow-server`, all of this includes processes that left the group with `setsid`, and
//! everything is killed if the server is killed. Memory stays bounded whatever the program writes.
//!
//! A program that cannot be started, because the machine has too few descriptors, processes or memory, is
//! started again after a pause, for up to a minute.
//!
//! ```text
//! spawn -> converse -> leader exits -> read on (1 s idle) -> SIGKILL the rest -> reap -> exit status
//!             \--> invalid line, limit, cancellation ---> SIGTERM -> 1 s -> SIGKILL -> reap
//!              \-> the future is dropped ---------------> SIGKILL
//! ```

mod account;
mod command;
mod conversation;
mod group;
mod invalid_line;
mod lines;
mod request;
mod settings;
mod stderr;

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep, timeout};

use self::account::Account;
use self::command::Failure;
use self::conversation::{Ending, converse};
use self::group::{Group, REAP_TIMEOUT};
use self::stderr::Stderr;
use super::{Secrets, Source, SourceError, Task};

pub use self::request::{listing_type_name, parameters_json};
pub use self::settings::ExecSettings;

/// Time for the group after SIGTERM, after its leader's exit, and after the last property of a limit.
const GRACE: Duration = Duration::from_secs(1);

/// First and longest pause after a program could not be started for a shortage.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// A shortage that lasts longer fails the location; another attempt repeats it.
const SHORTAGE_MAX: Duration = Duration::from_mins(1);

pub(super) struct ExecSource {
    settings: ExecSettings,
    account: Option<Account>,
    secrets: Secrets,
}

impl ExecSource {
    /// Fails if the program cannot run as its user.
    pub(super) fn new(settings: ExecSettings) -> Result<Self, String> {
        let account = settings.user.as_deref().map(Account::find).transpose()?;
        let secrets = Secrets::default();
        settings.secrets().iter().for_each(|secret| secrets.remember(secret));
        Ok(Self { settings, account, secrets })
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

    fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    async fn scrape(&self, task: &Task) -> Result<(), SourceError> {
        if task.is_cancelled() {
            return Err(SourceError::Stopped);
        }
        let (since, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            match self.run_program(task).await {
                Ok(()) => return Ok(()),
                Err(Failure::Other(error)) => return Err(error),
                Err(Failure::Shortage(error)) if since.elapsed() > SHORTAGE_MAX => {
                    return Err(error);
                }
                Err(Failure::Shortage(error)) => task.log(format!("windrow: {error}; retrying")),
            }
            tokio::select! {
                () = task.cancelled() => return Err(SourceError::Stopped),
                () = sleep(pause) => pause = MAX_PAUSE.min(pause * 2),
            }
        }
    }
}

impl ExecSource {
    async fn run_program(&self, task: &Task) -> Result<(), Failure> {
        let mut group = command::spawn(&self.settings, self.account.as_ref(), task.request())?;
        let mut stderr = Stderr::new(group.stderr(), task);
        match converse(task, &mut group, &mut stderr).await {
            Ok(()) => {
                let status = group.reap().await;
                let last_line = stderr.into_last_line();
                // Before the line is cut, or a part of a secret could remain.
                let last_line = last_line.map(|line| self.secrets.hide(&line).into_owned());
                command::result_of_exit(&self.settings, status, last_line)
            }
            Err(ending) => {
                end_group(&mut group, stderr).await;
                match ending {
                    Ending::LimitReached => {
                        let limit = task.request().limit;
                        task.log(format!(
                            "windrow: ended the program after its first {limit} rows"
                        ));
                        Ok(())
                    }
                    Ending::Failed(error) => Err(Failure::Other(error)),
                }
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
