//! Process 1 of a container: the parent of the server.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use rustix::process::{Pid, Signal, WaitStatus, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::wrappers::SignalStream;
use tokio_stream::{Stream, StreamExt as _, StreamMap};

use super::children::Children;
use super::{again, failed};

/// The signals that the server receives from outside.
const PASSED_ON: [Signal; 6] =
    [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];

/// Runs the server and returns its end. The kernel then kills all other processes of the container.
pub(super) async fn run(
    name: &OsStr,
    arguments: impl Iterator<Item = OsString>,
) -> Result<WaitStatus, ExitCode> {
    server(name, arguments).await.map_err(|error| failed("start as process 1", &error))
}

async fn server(name: &OsStr, arguments: impl Iterator<Item = OsString>) -> io::Result<WaitStatus> {
    // Subscribe before the spawn, or an early exit or signal would be missed.
    let mut deaths = signal(SignalKind::child())?;
    let mut signals = signals()?;
    // A group of its own: a terminal sends Ctrl-C to this process only, which passes it on once.
    let child = again(name).args(arguments).process_group(0).spawn()?;
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let id = id.ok_or_else(|| io::Error::other("the server has no process id"))?;
    let mut children = Children::new(id);
    loop {
        children.reap();
        if let Some(status) = children.status {
            return Ok(status);
        }
        tokio::select! {
            _ = deaths.recv() => {}
            Some(signal) = signals.next() => { kill_process(id, signal).ok(); }
        }
    }
}

fn signals() -> io::Result<impl Stream<Item = Signal> + Unpin> {
    let mut streams = StreamMap::new();
    for passed_on in PASSED_ON {
        let stream = signal(SignalKind::from_raw(passed_on.as_raw()))?;
        streams.insert(passed_on.as_raw(), SignalStream::new(stream));
    }
    Ok(streams.filter_map(|(number, ())| Signal::from_named_raw(number)))
}
