//! The conversation with a running program over its three pipes.
//!
//! All pipes are served at once: a program may fill any of them before it looks at another.

use std::convert::Infallible;

use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::lines::{LineError, Lines};
use super::stderr::Stderr;
use super::{GRACE, group, request};
use crate::sources::{SourceError, Task};

/// The reason why a conversation ended before the program did.
pub(super) enum Ending {
    LimitReached,
    Failed(SourceError),
}

/// Returns when the leader has exited and its output is read, or early. Does not reap the leader.
pub(super) async fn converse(
    task: &Task,
    group: &mut group::Group,
    stderr: &mut Stderr<'_>,
) -> Result<(), Ending> {
    let exited = CancellationToken::new();
    let members = group.members();
    let (stdin, stdout) = group.stdio();
    let exit = async {
        group.wait_for_leader().await;
        exited.cancel();
        Ok(())
    };
    let pipes = async {
        tokio::try_join!(
            write_request(stdin, request::input(task.request()), &exited),
            read_rows(task, stdout, &exited),
            read_stderr(stderr, &exited),
            exit,
        )
    };
    tokio::select! {
        biased;
        () = task.cancelled() => Err(Ending::Failed(SourceError::Stopped)),
        never = kill_stragglers(members, &exited) => match never {},
        ended = pipes => ended.map(|_| ()),
    }
}

/// Ends with the leader: a background process may hold the pipe open without reading it.
async fn write_request(
    stdin: Option<ChildStdin>,
    input: String,
    exited: &CancellationToken,
) -> Result<(), Ending> {
    let Some(mut stdin) = stdin else { return Ok(()) };
    tokio::select! {
        () = exited.cancelled() => {}
        // A broken pipe is no failure: a program need not read its request.
        _ignored = stdin.write_all(input.as_bytes()) => {}
    }
    Ok(())
}

async fn read_rows(
    task: &Task,
    stdout: Option<ChildStdout>,
    exited: &CancellationToken,
) -> Result<(), Ending> {
    let Some(stdout) = stdout else { return Ok(()) };
    let mut lines = Lines::new(stdout, exited);
    for _ in 0..task.request().limit {
        match lines.next_row().await {
            Ok(Some(row)) => task.push(row).await.map_err(Ending::Failed)?,
            Ok(None) => return Ok(()),
            Err(error) => return Err(failed(&error)),
        }
    }
    if task.request().has_limit() {
        end_at_own_limit(lines).await
    } else {
        end_at_maximum(task, lines).await
    }
}

/// A program that knows its limit exits by itself now, and its exit status counts.
async fn end_at_own_limit(mut lines: Lines<'_, ChildStdout>) -> Result<(), Ending> {
    match timeout(GRACE, lines.next_line()).await {
        Ok(Ok(None)) => Ok(()),
        Ok(Ok(Some(_)) | Err(_)) | Err(_) => Err(Ending::LimitReached),
    }
}

/// The program does not know this limit, so one more row fails the location.
async fn end_at_maximum(task: &Task, mut lines: Lines<'_, ChildStdout>) -> Result<(), Ending> {
    match lines.next_line().await {
        Ok(None) => Ok(()),
        Ok(Some(_)) => task.request().limit_exceeded().map_err(Ending::Failed),
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &LineError) -> Ending {
    Ending::Failed(SourceError::failed(error))
}

async fn read_stderr(stderr: &mut Stderr<'_>, exited: &CancellationToken) -> Result<(), Ending> {
    tokio::select! {
        biased;
        () = stderr.read() => {}
        () = async { exited.cancelled().await; sleep(GRACE * 2).await } => {}
    }
    Ok(())
}

/// Kills processes that the leader left behind, so that the pipes they hold come to an end.
async fn kill_stragglers(members: group::Members, exited: &CancellationToken) -> Infallible {
    exited.cancelled().await;
    sleep(GRACE).await;
    members.kill();
    std::future::pending().await
}
