//! Signals stop the server cleanly, or make it read its settings again.

use std::fs;
use std::io::{BufRead, BufReader, Lines, PipeReader, pipe};

use super::server;
use crate::support::database::new_database;
use crate::support::program::Process;

/// Reads up to a line of the log that contains a text.
fn wait_for(log: &mut Lines<BufReader<PipeReader>>, text: &str) -> String {
    let line = log.map_while(Result::ok).find(|line| line.contains(text));
    line.unwrap_or_else(|| panic!("the log ends without {text:?}"))
}

#[tokio::test]
async fn every_signal_that_asks_for_an_end_stops_cleanly() {
    let url = new_database().await;
    for signal in ["TERM", "INT", "QUIT", "USR1", "USR2", "ALRM"] {
        let dir = tempfile::tempdir().unwrap();
        let (reader, writer) = pipe().unwrap();
        let process = Process::spawn(
            server(dir.path(), &url, "").args(["--listen", "127.0.0.1:0"]).stderr(writer),
        );
        let mut log = BufReader::new(reader).lines();
        wait_for(&mut log, "Serving on");
        process.signal(signal);
        wait_for(&mut log, "Stopped");
        assert_eq!(process.wait(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn a_hangup_applies_the_log_filter_and_names_what_needs_a_restart() {
    let url = new_database().await;
    let dir = tempfile::tempdir().unwrap();
    let (reader, writer) = pipe().unwrap();
    let direct = server(dir.path(), &url, "");
    // Without a terminal, as a service.
    let process = Process::spawn(
        std::process::Command::new("setsid")
            .arg(direct.get_program())
            .args(["--listen", "127.0.0.1:0"])
            .env("DATABASE_URL", &url)
            .current_dir(dir.path())
            .stderr(writer),
    );
    let mut log = BufReader::new(reader).lines();
    wait_for(&mut log, "Serving on");
    let change = |settings: &str| {
        fs::write(dir.path().join("windrow.toml"), settings).unwrap();
        process.signal("HUP");
    };

    change("lease = 7\n");
    assert!(wait_for(&mut log, "Kept the settings").contains("windrow.toml:1"));
    change("lease = \"30s\"\n[sources.new]\nkind = \"worker\"\n");
    let said = wait_for(&mut log, "restart the server to apply");
    assert!(said.contains("apply: lease, sources.new"), "{said}");
    change("log = \"debug\"\n");
    wait_for(&mut log, "the log filter is in effect");
    wait_for(&mut log, "DEBUG");
    assert_eq!(process.terminate(), Some(0));
}
