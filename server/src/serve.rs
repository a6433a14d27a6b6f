//! `windrow-server serve`: serves until a signal, and reads settings again on SIGHUP.

use std::collections::BTreeSet;
use std::error::Error;
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use windrow_server::config::{Flags, Resolved};
use windrow_server::telemetry::LogFilter;
use windrow_server::{Server, StartError};

use crate::INTERRUPTED;
use crate::signals::Signals;

pub(crate) async fn run(
    resolved: Resolved,
    flags: &Flags,
    filter: &LogFilter,
    signals: &mut Signals,
) -> Result<ExitCode, Box<dyn Error>> {
    let settings = resolved.render();
    let stop = CancellationToken::new();
    let starting = Server::start_unless(resolved.config, &stop);
    let running = match signals.cancelling(&stop, starting).await {
        Some(Err(StartError::Stopped)) => return Ok(ExitCode::SUCCESS),
        Some(started) => started?,
        None => return Ok(ExitCode::from(INTERRUPTED)),
    };
    if !stop.is_cancelled() {
        let reload = || {
            running.reload_certificate();
            reload(&settings, flags, filter);
        };
        signals.stop_or(reload).await;
    }
    tokio::select! {
        () = running.stop() => Ok(ExitCode::SUCCESS),
        () = signals.stop() => Ok(ExitCode::from(INTERRUPTED)),
    }
}

/// Applies a changed log filter and names the other settings that have changed.
fn reload(settings: &str, flags: &Flags, filter: &LogFilter) {
    let resolved = match Resolved::from_process(flags) {
        Ok(resolved) => resolved,
        Err(error) => return warn!(%error, "Kept the settings: {error}"),
    };
    if let Err(error) = filter.replace(&resolved.config.log.filter) {
        return warn!(%error, "Kept the settings: {error}");
    }
    let changed = changed(settings, &resolved.render());
    if changed.is_empty() {
        info!("Read the settings again after SIGHUP; the log filter is in effect");
    } else {
        let changed = changed.into_iter().collect::<Vec<_>>().join(", ");
        warn!("Read the settings again after SIGHUP; restart the server to apply: {changed}");
    }
}

/// The keys and sources whose lines differ, except that of the log filter.
fn changed(before: &str, after: &str) -> BTreeSet<String> {
    let (before, after) = (lines(before), lines(after));
    let different = before.symmetric_difference(&after);
    different.map(|(name, _)| name.clone()).filter(|name| name != "log").collect()
}

/// Each line of rendered settings with the name of its key, or of its source.
fn lines(settings: &str) -> BTreeSet<(String, &str)> {
    let mut table = None;
    let mut lines = BTreeSet::new();
    for line in settings.lines() {
        if let Some((name, _)) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            table = Some(name.to_owned());
        }
        let line = line.split("  # ").next().unwrap_or_default();
        let key = line.trim_start_matches("# ").split(' ').next().unwrap_or_default();
        lines.insert((table.clone().unwrap_or_else(|| key.to_owned()), line));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_setting_is_named_and_a_moved_one_is_not() {
        let before = "# database_url is not set: x\nlease = \"20s\"  # default\nlog = \"info\"  # default\n\n\
                      [sources.a]  # windrow.toml:3\ncommand = [\"x\"]\n";
        let check = |from: &str, to: &str, expected: &[&str]| {
            let changed: Vec<String> =
                changed(before, &before.replacen(from, to, 1)).into_iter().collect();
            assert_eq!(changed, expected, "{from} -> {to}");
        };
        check("info", "debug", &[]);
        check("windrow.toml:3", "windrow.toml:4", &[]);
        check("20s", "30s", &["lease"]);
        check("command = [\"x\"]", "command = [\"y\"]", &["sources.a"]);
        check("[sources.a]", "[sources.b]", &["sources.a", "sources.b"]);
    }
}
