//! The `exec` source: one program per location, told what to do in JSON and answering in JSON lines.
//!
//! Promises that nothing of the program's process group outlives the scrape, that memory stays bounded
//! whatever the program writes, and that none of the server's secrets reach it. Leaves out what escapes
//! on purpose: a program that calls `setsid` is on its own.
//!
//! ```text
//! spawn -> talk -> leader exits -> read on (1 s idle) -> SIGKILL the rest -> reap -> exit status
//!             \--> bad line, limit, stop, timeout ----> SIGTERM -> 1 s -> SIGKILL -> reap
//!              \-> the future is dropped -------------> SIGKILL
//! ```

mod command;
mod group;
mod lines;
mod tail;

use std::{convert::Infallible, time::Duration};

use async_trait::async_trait;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{ChildStderr, ChildStdin, ChildStdout},
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{
    group::Group,
    lines::{LineError, Lines},
    tail::Tail,
};
use super::{ExecSettings, ScrapeOutcome, ScrapeRequest, ScrapedRow, Source, SourceError};

/// How long the group may go on after SIGTERM, after its leader's exit, or after its last wanted row.
const GRACE: Duration = Duration::from_secs(1);

pub(super) struct ExecSource {
    settings: ExecSettings,
}

/// Why a talk ended before the program did.
enum Ending {
    LimitReached,
    Because(SourceError),
}

impl ExecSource {
    pub(super) fn new(settings: ExecSettings) -> Self {
        Self { settings }
    }

    async fn program_run(&self, talk: Talk<'_>, log: &mut Tail) -> Result<(), SourceError> {
        if talk.stop.is_cancelled() {
            return Err(SourceError::Stopped);
        }
        let mut group = command::spawn(&self.settings, talk.request)?;
        let mut stderr = group.stderr();
        let request = talk.request;
        match talk.hold(&mut group, &mut stderr, log).await {
            Ok(()) => command::verdict(group.reap().await, log),
            Err(ending) => {
                group_end(&mut group, &mut stderr, log).await;
                ending_explain(ending, request.limit, log)
            }
        }
    }
}

#[async_trait]
impl Source for ExecSource {
    fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    async fn scrape(
        &self,
        request: ScrapeRequest,
        rows: mpsc::Sender<ScrapedRow>,
        stop: CancellationToken,
    ) -> ScrapeOutcome {
        let mut log = Tail::default();
        let talk =
            Talk { request: &request, rows: &rows, stop: &stop, after: self.settings.timeout };
        let result = self.program_run(talk, &mut log).await;
        ScrapeOutcome { result, log: log.into_text() }
    }
}

fn ending_explain(ending: Ending, limit: u32, log: &mut Tail) -> Result<(), SourceError> {
    match ending {
        Ending::LimitReached => {
            log.note(&format!("windrow: ended the program after its first {limit} rows"));
            Ok(())
        }
        Ending::Because(error) => Err(error),
    }
}

/// What one conversation with a program is about and what may end it early.
struct Talk<'a> {
    request: &'a ScrapeRequest,
    rows: &'a mpsc::Sender<ScrapedRow>,
    stop: &'a CancellationToken,
    after: Duration,
}

impl Talk<'_> {
    /// Returns once the leader has exited, without reaping it, and its output is read; or early.
    ///
    /// All pipes are served at once, for a program may fill any of them before it looks at another.
    async fn hold(
        &self,
        group: &mut Group,
        stderr: &mut Option<ChildStderr>,
        log: &mut Tail,
    ) -> Result<(), Ending> {
        let gone = CancellationToken::new();
        let members = group.members();
        let (stdin, stdout) = group.stdio();
        let exit = async {
            group.leader_exit().await;
            gone.cancel();
            Ok(())
        };
        let talk = async {
            tokio::try_join!(
                request_write(stdin, command::input(self.request), &gone),
                self.rows_read(stdout, &gone),
                log_read_until(stderr, log, &gone),
                exit,
            )
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Ending::Because(SourceError::Stopped)),
            () = self.rows.closed() => Err(Ending::Because(SourceError::Stopped)),
            () = sleep(self.after) => {
                Err(Ending::Because(SourceError::TimedOut { after: self.after }))
            }
            never = stragglers_kill(members, &gone) => match never {},
            ended = talk => ended.map(|_| ()),
        }
    }

    async fn rows_read(
        &self,
        stdout: Option<ChildStdout>,
        gone: &CancellationToken,
    ) -> Result<(), Ending> {
        let Some(stdout) = stdout else { return Ok(()) };
        let mut lines = Lines::new(stdout, gone);
        for _ in 0..self.request.limit {
            match lines.next_row().await {
                Ok(Some(row)) => self.row_send(row).await?,
                Ok(None) => return Ok(()),
                Err(error) => return Err(failed(&error)),
            }
        }
        if !self.request.limits_itself() {
            return self.end_read(lines).await;
        }
        // A program that minds its limit ends by itself now, and its exit status counts.
        match timeout(GRACE, lines.next_line()).await {
            Ok(Ok(None)) => Ok(()),
            Ok(Ok(Some(_)) | Err(_)) | Err(_) => Err(Ending::LimitReached),
        }
    }

    /// Nobody told the program to stop here, so one more row is one too many.
    async fn end_read(&self, mut lines: Lines<'_, ChildStdout>) -> Result<(), Ending> {
        match lines.next_line().await {
            Ok(None) => Ok(()),
            Ok(Some(_)) => self.request.beyond_limit().map_err(Ending::Because),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn row_send(&self, row: ScrapedRow) -> Result<(), Ending> {
        self.rows.send(row).await.map_err(|_closed| Ending::Because(SourceError::Stopped))
    }
}

fn failed(error: &LineError) -> Ending {
    Ending::Because(SourceError::failed(error.to_string()))
}

/// Ends with the leader, for a background process may hold the pipe open without ever reading.
async fn request_write(
    stdin: Option<ChildStdin>,
    input: String,
    gone: &CancellationToken,
) -> Result<(), Ending> {
    let Some(mut stdin) = stdin else { return Ok(()) };
    tokio::select! {
        () = gone.cancelled() => {}
        // A program need not read its request, so a broken pipe is no failure.
        _ignored = stdin.write_all(input.as_bytes()) => {}
    }
    Ok(())
}

async fn log_read_until(
    stderr: &mut Option<ChildStderr>,
    log: &mut Tail,
    gone: &CancellationToken,
) -> Result<(), Ending> {
    tokio::select! {
        biased;
        () = log_read(stderr, log) => {}
        () = async { gone.cancelled().await; sleep(GRACE * 2).await } => {}
    }
    Ok(())
}

/// Reads until the end of stderr. Cancel-safe: what was read is in the log.
async fn log_read(stderr: &mut Option<ChildStderr>, log: &mut Tail) {
    let Some(pipe) = stderr else { return };
    let mut chunk = vec![0; 8 * 1024];
    while let Ok(read @ 1..) = pipe.read(&mut chunk).await {
        log.push(chunk.get(..read).unwrap_or_default());
    }
}

/// Kills what the leader left behind, so that the pipes those processes hold come to an end.
async fn stragglers_kill(members: group::Members, gone: &CancellationToken) -> Infallible {
    gone.cancelled().await;
    sleep(GRACE).await;
    members.kill();
    std::future::pending().await
}

/// Asks the group to end, gives it [`GRACE`], and kills it. Its last words still go to the log.
async fn group_end(group: &mut Group, stderr: &mut Option<ChildStderr>, log: &mut Tail) {
    group.members().terminate();
    let calm = async { tokio::join!(group.leader_exit(), log_read(stderr, log)) };
    if timeout(GRACE, calm).await.is_err() {
        tracing::debug!("A program did not end within a second of SIGTERM and is killed");
    }
    if let Err(error) = group.reap().await {
        tracing::warn!(%error, "A killed program could not be reaped");
    }
}
