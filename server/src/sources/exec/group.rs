//! A program and all it starts, as one process group that cannot outlive its owner.
//!
//! The leader is reaped last: while it is a zombie its number cannot be given to another process, so
//! that a signal to the group can never hit a stranger.

use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::{
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    signal::unix::{Signal as SignalStream, SignalKind, signal},
    time::timeout,
};

/// A killed process is gone at once unless the kernel holds it (a dead disk); do not wait for that.
const REAP_WAIT: Duration = Duration::from_secs(2);

/// Kills the whole group when dropped before [`Group::reap`].
pub(super) struct Group {
    child: Child,
    members: Members,
    deaths: SignalStream,
    reaped: bool,
}

/// The number of a group whose leader is not reaped yet, to send signals to.
#[derive(Clone, Copy)]
pub(super) struct Members(Pid);

impl Group {
    pub(super) fn spawn(command: &mut Command) -> io::Result<Self> {
        // Listen before the child exists, or its death could go unnoticed.
        let deaths = signal(SignalKind::child())?;
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let leader = leader.ok_or_else(|| io::Error::other("the program has no process id"))?;
        Ok(Self { child, members: Members(leader), deaths, reaped: false })
    }

    /// The leader's stdin and stdout; both at the first call only.
    pub(super) fn stdio(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>) {
        (self.child.stdin.take(), self.child.stdout.take())
    }

    /// The leader's stderr; at the first call only.
    pub(super) fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Only to be used while the group is not reaped.
    pub(super) fn members(&self) -> Members {
        self.members
    }

    /// Waits until the leader has exited, and leaves it a zombie.
    pub(super) async fn leader_exit(&mut self) {
        while self.members.leader_lives() {
            // The stream ends only with the runtime.
            if self.deaths.recv().await.is_none() {
                return;
            }
        }
    }

    /// Kills what is left of the group and takes the leader's exit status.
    pub(super) async fn reap(&mut self) -> io::Result<ExitStatus> {
        if !self.reaped {
            self.members.kill();
        }
        let status = timeout(REAP_WAIT, self.child.wait()).await.map_err(io::Error::from)??;
        self.reaped = true;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Before `child` is dropped, which hands it to the runtime to be reaped.
        if !self.reaped {
            self.members.kill();
        }
    }
}

impl Members {
    pub(super) fn terminate(self) {
        self.signal(Signal::TERM);
    }

    pub(super) fn kill(self) {
        self.signal(Signal::KILL);
    }

    fn signal(self, signal: Signal) {
        if let Err(error) = kill_process_group(self.0, signal) {
            tracing::debug!(%error, "A process group could not be signalled");
        }
    }

    fn leader_lives(self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::Pid(self.0), look), Ok(None))
    }
}
