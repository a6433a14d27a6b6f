//! The program and the system around it: its log, signals, descriptors and child processes.

mod children;
mod confinement;
mod container;
mod descriptors;
mod logging;
mod secrets;
mod signals;
mod starting;
mod time_zones;

use std::fs;
use std::process::Command;

use crate::support::program;

/// A server in a directory of its own, with a database of its own. The log is the caller's.
fn server(dir: &std::path::Path, database_url: &str, settings: &str) -> Command {
    fs::write(dir.join("windrow.toml"), settings).unwrap();
    let mut command = program::command("windrow-server");
    command.current_dir(dir).env("DATABASE_URL", database_url);
    command
}

/// Whether a process runs. A zombie that a container's init does not reap counts as dead.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z") && !stat.contains(") X")
}

/// The processes whose arguments contain a text.
fn processes_with(text: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let has_text = |pid: &String| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    };
    names.filter(|name| name.parse::<u32>().is_ok()).filter(has_text).collect()
}
