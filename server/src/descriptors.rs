//! The limit of this process on open files, which also limits its connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use crate::config::Config;

/// Connections for which there is memory; each takes some tens of kilobytes.
const CONNECTIONS_MAX: u64 = 20_000;
/// Below this the process cannot work anyway.
const CONNECTIONS_MIN: u64 = 8;
/// Pipes and files of a run: three pipes to a program, twice while it is started, or sockets to a website.
const PER_RUN: u64 = 12;
/// Sockets to listen on, metrics, the log, files that are read for a moment.
const OTHERS: u64 = 64;

/// Raises the limit as far as the system permits. Returns the limit before, for child processes: some programs
/// do not work with a high one.
pub fn raise_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        warn!(%error, "Failed to raise the limit on open files");
    }
    current
}

/// The number of connections that clients may have, so that enough descriptors are left for the database and for
/// runs.
pub(crate) fn for_connections(config: &Config) -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let runs = u64::from(config.max_concurrent_runs).saturating_mul(PER_RUN);
    let reserved = u64::from(config.max_connections).saturating_add(runs).saturating_add(OTHERS);
    let connections = limit.saturating_sub(reserved).clamp(CONNECTIONS_MIN, CONNECTIONS_MAX);
    usize::try_from(connections).unwrap_or(usize::MAX)
}
