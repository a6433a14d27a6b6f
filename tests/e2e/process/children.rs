//! No program of a source outlives a server that is killed.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;

use serde_json::Value;

use super::is_alive;
use crate::support::database::new_database;
use crate::support::program::{Program, windrow};
use crate::support::{eventually, job, parameters};
use windrow_client::{Client, proto};

/// Writes the ids of three processes: itself, one in its group, and one that has left the group.
const SETTINGS: &str = r#"
[sources.endless]
kind = "exec"
command = ["sh", "-c", '''sleep 300 & inner=$!; setsid sleep 300 & outer=$!
until [ "$(cut -d' ' -f5 /proc/$outer/stat)" = $outer ]; do :; done
for pid in $$ $inner $outer; do echo "{\"property_id\": \"$pid\"}"; done; sleep 300''']
"#;

async fn running() -> (Program, String, Vec<String>) {
    running_with(SETTINGS).await
}

async fn running_with(settings: &str) -> (Program, String, Vec<String>) {
    let url = new_database().await;
    let server = Program::start(&["--database-url", &url], settings, &[]);
    let client = Client::connect(&server.address).await.unwrap();
    let endless = proto::ScheduledJob { parameters: Some(parameters("endless")), ..job("endless") };
    client.create_job(endless).await.unwrap();
    let run = client.trigger_job("endless").await.unwrap().job_id;
    let address = server.address.clone();
    let pids = eventually("the processes run", async || {
        let listed = windrow(&address, &["properties", "export"]);
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let pids: Vec<String> =
            rows.map(|row| row["property_id"].as_str().unwrap().to_owned()).collect();
        if pids.len() == 3 { Ok(pids) } else { Err(pids) }
    })
    .await;
    assert!(pids.iter().all(|pid| is_alive(pid)), "{pids:?}");
    (server, run, pids)
}

async fn all_end(pids: &[String]) {
    eventually("all processes end", async || {
        let alive: Vec<_> = pids.iter().filter(|pid| is_alive(pid)).collect();
        if alive.is_empty() { Ok(()) } else { Err(alive) }
    })
    .await;
}

#[tokio::test]
async fn programs_end_when_the_server_is_killed() {
    let (mut server, _, pids) = running().await;
    server.process.kill();
    all_end(&pids).await;
}

#[tokio::test]
async fn programs_of_another_user_end_when_the_server_is_killed() {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return eprintln!("skipped: only root can become another user");
    }
    let (mut server, _, pids) = running_with(&format!("{SETTINGS}user = \"games\"\n")).await;
    let owner = std::fs::metadata(format!("/proc/{}", pids[0])).unwrap().uid();
    assert_ne!(owner, 0);
    kill_with_guard(&mut server, &pids).await;
}

#[tokio::test]
async fn a_program_ends_with_its_guard_if_both_are_killed() {
    let (mut server, _, pids) = running().await;
    kill_with_guard(&mut server, &pids).await;
}

async fn kill_with_guard(server: &mut Program, pids: &[String]) {
    let guards = super::processes_with("windrow-guard\0run\0");
    let parents: BTreeMap<String, String> =
        guards.into_iter().filter_map(|pid| Some((parent(&pid)?, pid))).collect();
    let guard = parents.get(&server.process.id().to_string()).expect("a guard of this server");
    let kill = ["-9", guard];
    assert!(std::process::Command::new("kill").args(kill).status().unwrap().success());
    server.process.kill();
    all_end(&pids[..1]).await;
    for pid in &pids[1..] {
        std::process::Command::new("kill").args(["-9", pid]).status().unwrap();
    }
}

#[tokio::test]
async fn a_cancellation_also_ends_processes_that_left_the_group() {
    let (server, run, pids) = running().await;
    let client = Client::connect(&server.address).await.unwrap();
    client.cancel_run(&run).await.unwrap();
    all_end(&pids).await;
    assert_eq!(server.process.terminate(), Some(0));
}

fn parent(pid: &str) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.to_owned())
}
