//! A program and its descendants as one process group that cannot outlive its owner.
//!
//! The leader is reaped last: while it is a zombie, the kernel does not reuse its process id, so a signal
//! to the group never hits an unrelated process.

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

/// A killed process ends at once, unless the kernel blocks it (for example on a dead disk).
pub(super) const REAP_TIMEOUT: Duration = Duration::from_secs(2);

/// Kills the whole group when dropped before [`Group::reap`].
pub(super) struct Group {
    child: Child,
    members: Members,
    deaths: SignalStream,
    reaped: bool,
}

/// The id of a group whose leader is not reaped yet, for signals.
#[derive(Clone, Copy)]
pub(super) struct Members(Pid);

impl Group {
    pub(super) fn spawn(command: &mut Command) -> io::Result<Self> {
        // Subscribe before the spawn, or an early exit would be missed.
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
        if !self.reaped {
            self.members.kill();
        }
        let status = timeout(REAP_TIMEOUT, self.child.wait()).await.map_err(io::Error::from)??;
        self.reaped = true;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Before the drop of `child`, which lets the runtime reap it.
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
            tracing::debug!(%error, "Failed to signal a process group");
        }
    }

    fn leader_is_alive(self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::Pid(self.0), options), Ok(None))
    }
}
