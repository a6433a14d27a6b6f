//! The children of this process, also those that were born to others.

use std::fs;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, kill_process_group, wait,
};

/// The children, of which one matters: the others are only reaped.
pub(super) struct Children {
    main: Pid,
    /// The end of the main child.
    pub(super) status: Option<WaitStatus>,
    /// Whether any child is left.
    pub(super) remain: bool,
}

impl Children {
    pub(super) fn new(main: Pid) -> Self {
        Self { main, status: None, remain: true }
    }

    /// Reaps all children that have ended.
    pub(super) fn reap(&mut self) {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.main => self.status = Some(status),
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return,
                Err(_) => {
                    self.remain = false;
                    return;
                }
            }
        }
    }
}

/// Kills all children. Theirs become children of this process, so repeat it until none remain. Only this
/// process reaps them, so a process id cannot have been reused in between.
pub(super) fn kill_all() {
    // With the /proc of another PID namespace the numbers in it are not ours.
    if fs::read_link("/proc/self").is_ok_and(|me| me == Path::new(&std::process::id().to_string()))
    {
        for child in all() {
            kill_process(child, Signal::KILL).ok();
        }
    } else {
        // Includes this process.
        kill_process_group(getpid(), Signal::KILL).ok();
    }
}

fn all() -> Vec<Pid> {
    let me = getpid();
    let pid_of = |entry: fs::DirEntry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?);
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(pid_of).filter(|pid| parent(*pid) == Some(me)).collect()
}

fn parent(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    // The name is in parentheses and may contain anything; state and parent follow.
    let (_, rest) = stat.rsplit_once(')')?;
    Pid::from_raw(rest.split_whitespace().nth(1)?.parse().ok()?)
}
