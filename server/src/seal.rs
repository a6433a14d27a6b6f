//! What this process keeps from its child processes and from other processes of its user.
//!
//! Root, the kernel and a debugger of root still see everything. The arguments of a process are visible to all users.

use std::fs;
use std::os::fd::RawFd;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// The highest of the standard descriptors.
const STDERR: RawFd = 2;

/// Call it before anything is opened, and before other threads start.
pub(crate) fn seal() {
    close_inherited();
    // Environment, memory and descriptors in /proc belong to root from now on, and no memory is dumped.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).ok();
}

/// Closes what the parent process left open: a program of a source would inherit it.
fn close_inherited() {
    let entries = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok());
    // All are read before the first is closed, as one of them is the directory.
    let inherited: Vec<RawFd> = numbers.filter(|number| *number > STDERR).collect();
    for number in inherited {
        nix::unistd::close(number).ok();
    }
}
