//! A program and its descendants as one process group that cannot outlive its owner.
//!
//! The leader is a guard if guards are enabled, else the program itself. A guard also ends descendants that have
//! left the group, and everything if this process is killed.
//!
//! The leader is reaped last: while it is a zombie, the kernel does not reuse its process id, so a signal
//! to the group never hits an unrelated process.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::{
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    signal::unix::{Signal as SignalStream, SignalKind, signal},
    time::timeout,
};

/// A killed process ends at once, unless the kernel blocks it (for example on a dead disk).
pub(super) const REAP_TIMEOUT: Duration = Duration::from_secs(2);

/// Kills the whole group when dropped before [`Group::reap`].
pub(super) struct Group {
    child: Child,
    /// A guard kills everything when this is closed, and the request's end of the pipe as well.
    lifeline: Option<OwnedFd>,
    members: Members,
    deaths: SignalStream,
    reaped: bool,
}

/// The process that is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leader {
    Guard,
    Program,
}

/// The id of a group whose leader is not reaped yet, for signals.
#[derive(Clone, Copy)]
pub(super) struct Members(Pid);

impl Group {
    pub(super) fn spawn(command: &mut Command, leader: Leader) -> io::Result<Self> {
        // Subscribe before the spawn, or an early exit would be missed.
        let deaths = signal(SignalKind::child())?;
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let id = id.ok_or_else(|| io::Error::other("the program has no process id"))?;
        let lifeline = match (leader, &child.stdin) {
            (Leader::Guard, Some(stdin)) => Some(stdin.as_fd().try_clone_to_owned()?),
            (Leader::Guard | Leader::Program, _) => None,
        };
        Ok(Self { child, lifeline, members: Members(id), deaths, reaped: false })
    }

    /// Takes the leader's stdin and stdout.
    pub(super) fn stdio(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>) {
        (self.child.stdin.take(), self.child.stdout.take())
    }

    /// Takes the leader's stderr.
    pub(super) fn stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Valid until the group is reaped.
    pub(super) fn members(&self) -> Members {
        self.members
    }

    /// Waits for the leader's exit without reaping it.
    pub(super) async fn wait_for_leader(&mut self) {
        while self.members.leader_is_alive() {
            // The stream ends only with the runtime.
            if self.deaths.recv().await.is_none() {
                return;
            }
        }
    }

    /// Kills the rest of the group and returns the leader's exit status.
    pub(super) async fn reap(&mut self) -> io::Result<ExitStatus> {
        self.kill();
        let status = timeout(REAP_TIMEOUT, self.child.wait()).await;
        if status.is_err() {
            self.members.kill();
        }
        let status = status.map_err(io::Error::from)??;
        self.reaped = true;
        Ok(status)
    }

    fn kill(&mut self) {
        if self.reaped {
            return;
        }
        match (self.lifeline.take(), self.child.stdin.take()) {
            // A killed guard could not end those that left the group.
            (Some(lifeline), request) => drop((lifeline, request)),
            (None, _) => self.members.kill(),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Before the drop of `child`, which lets the runtime reap it.
        self.kill();
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
            tracing::debug!(%error, "Failed to signal a process group");
        }
    }

    fn leader_is_alive(self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::Pid(self.0), options), Ok(None))
    }
}
