//! The guard of a program, and the start of the program.

use std::ffi::OsString;
use std::future::pending;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::pin::pin;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitStatus, getpid, getppid, set_child_subreaper, set_parent_process_death_signal,
};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy, sink};
use tokio::net::unix::pipe;
use tokio::process::ChildStdin;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::children::{Children, kill_all};
use super::{Confinement, NOT_STARTED, NOT_STARTED_LINE, again};

/// Time of the processes that a program leaves behind.
const GRACE: Duration = Duration::from_secs(1);
/// Interval between two rounds of killing: each round kills one more generation.
const ROUND: Duration = Duration::from_millis(10);

/// Runs a program below this process. `arguments` are its confinement, the program and its arguments.
pub(super) async fn run(arguments: &[OsString]) -> Result<WaitStatus, ExitCode> {
    guarded(arguments).await.map_err(|error| failed(arguments.get(1), &error))
}

/// Becomes the program; returns only if that fails. `arguments` are the id of the guard, the confinement, the
/// program and its arguments.
pub(super) fn exec(arguments: &[OsString]) -> io::Error {
    let [guard, confinement, program, arguments @ ..] = arguments else {
        return io::ErrorKind::InvalidInput.into();
    };
    let Some(confinement) = Confinement::of_argument(confinement) else {
        return io::ErrorKind::InvalidInput.into();
    };
    if let Err(error) = confinement.apply() {
        return error;
    }
    // After the change of the user, which would undo it.
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    // The guard may have ended before.
    let parent = getppid().map_or(0, Pid::as_raw_pid);
    if guard.to_str().and_then(|id| id.parse().ok()) != Some(parent) {
        return io::Error::other("the guard has ended");
    }
    Command::new(program).args(arguments).exec()
}

/// Reports that the program could not be started.
pub(super) fn failed(program: Option<&OsString>, error: &io::Error) -> ExitCode {
    let program = program.map(|program| program.to_string_lossy()).unwrap_or_default();
    writeln!(io::stderr(), "{NOT_STARTED_LINE} {program:?}: {error}").ok();
    ExitCode::from(u8::try_from(NOT_STARTED).unwrap_or(u8::MAX))
}

async fn guarded(arguments: &[OsString]) -> io::Result<WaitStatus> {
    set_child_subreaper(Some(getpid()))?;
    // Subscribe before the spawn, or an early exit would be missed.
    let mut deaths = signal(SignalKind::child())?;
    let _ignored = ignored_signals()?;
    let stdin = io::stdin().as_fd().try_clone_to_owned()?;
    let stdin = pipe::Receiver::from_owned_fd(stdin)?;
    let (mut children, input) = start(arguments)?;
    let mut closed = pin!(serve_input(stdin, input));
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut deadline, mut is_ending) = (None, false);
    loop {
        tokio::select! {
            () = &mut closed, if !is_ending => is_ending = true,
            () = until(deadline), if !is_ending => is_ending = true,
            _ = rounds.tick(), if is_ending => kill_all(),
            _ = deaths.recv() => {}
        }
        children.reap();
        match children.status {
            Some(status) if !children.remain => return Ok(status),
            Some(_) => deadline = deadline.or_else(|| Some(Instant::now() + GRACE)),
            None => {}
        }
    }
}

fn start(arguments: &[OsString]) -> io::Result<(Children, ChildStdin)> {
    let guard = std::process::id().to_string();
    let mut child =
        again(super::NAME).args(["exec", &guard]).args(arguments).stdin(Stdio::piped()).spawn()?;
    let stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let id = id.ok_or_else(|| io::Error::other("the program has no process id"))?;
    Ok((Children::new(id), ChildStdin::from_std(stdin)?))
}

/// The server signals the whole group. The program decides what to do; its guard stays.
fn ignored_signals() -> io::Result<Vec<SignalStream>> {
    let kinds = [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
        SignalKind::quit(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
    ];
    kinds.into_iter().map(signal).collect()
}

/// Passes one line on, the request, and ends with stdin. A program need not read its request.
async fn serve_input(from: pipe::Receiver, mut to: ChildStdin) {
    let mut from = BufReader::new(from);
    let mut request = Vec::new();
    from.read_until(b'\n', &mut request).await.ok();
    let passed_on = async {
        to.write_all(&request).await.ok();
        drop(to);
        pending::<()>().await;
    };
    let mut rest = sink();
    tokio::select! {
        () = passed_on => {}
        _ = copy(&mut from, &mut rest) => {}
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
