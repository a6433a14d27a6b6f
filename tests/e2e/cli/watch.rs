//! `windrow watch` off a terminal: lines for people, objects for programs.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tokio::io::AsyncBufReadExt as _;
use tokio::sync::oneshot;
use windrow_client::proto;

use crate::support::proxy::Proxy;
use crate::support::{PATIENCE, SLOW, Windrow, job, parameters, program, wait_for};

/// Follows until a line has this in it, then presses Ctrl-C; the lines and the exit code. Says when the first
/// line has come: only from then on is everything told.
fn follow(
    address: &str,
    flags: &[&str],
    until: &str,
    begun: oneshot::Sender<()>,
) -> (Vec<String>, Option<i32>) {
    let mut command = program::command("windrow");
    command.args(["--server", address, "watch", "--all"]).args(flags);
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let (mut lines, mut begun) = (Vec::new(), Some(begun));
    for line in BufReader::new(process.stdout.take().unwrap()).lines() {
        lines.push(line.unwrap());
        begun.take().and_then(|begun| begun.send(()).ok());
        if lines.last().unwrap().contains(until) {
            interrupt(&process);
        }
    }
    (lines, process.wait().unwrap().code())
}

fn interrupt(process: &Child) {
    let id = process.id().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
}

/// Does something once the watch has begun.
async fn followed<T>(
    windrow: &Windrow,
    flags: &'static [&'static str],
    until: &'static str,
    then: impl Future<Output = T>,
) -> (Vec<String>, Option<i32>, T) {
    let (address, (begun, begins)) = (windrow.address(), oneshot::channel());
    let following = tokio::task::spawn_blocking(move || follow(&address, flags, until, begun));
    let then = async {
        begins.await.unwrap();
        then.await
    };
    let both = tokio::time::timeout(PATIENCE, futures::future::join(following, then));
    let (followed, done) = both.await.expect("the line was not printed");
    let (lines, code) = followed.unwrap();
    (lines, code, done)
}

#[tokio::test]
async fn lines_tell_what_happens_until_ctrl_c() {
    let windrow = Windrow::start().await;
    let slow = proto::ScheduledJob { parameters: Some(parameters(SLOW)), ..job("job") };
    windrow.create_as(slow).await.unwrap();
    windrow.create("other").await;
    let run = windrow.trigger("job").await.job_id;
    wait_for(&mut windrow.client.watch(&run).states(), proto::ScrapingJobStatus::Running).await;
    let flags = &["--job", "job", "--filter", "origin = triggered"];

    let cancel = async {
        windrow.end(&windrow.trigger("other").await.job_id).await;
        windrow.cancel(&run).await.unwrap();
    };
    let (lines, code, ()) = followed(&windrow, flags, "cancelled", cancel).await;

    assert_eq!(code, Some(130));
    assert!(lines.iter().all(|line| line.starts_with(&run)), "{lines:#?}");
    assert!(lines.first().unwrap().contains("running 0/1 locations"), "{lines:#?}");
    windrow.stop().await;
}

#[tokio::test]
async fn objects_have_the_token_from_which_another_watch_goes_on() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let flags = &["--json"];

    let made = windrow.trigger("job");
    let (lines, code, made) = followed(&windrow, flags, "\"completed\"", made).await;

    let objects: Vec<Value> = lines.iter().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((code, &objects[0]["kind"]), (Some(130), &Value::from("synced")));
    let kinds = ["changed", "bookmark"].map(Value::from);
    assert!(objects[1..].iter().all(|object| kinds.contains(&object["kind"])), "{objects:#?}");
    let changed = objects.iter().find(|object| object["kind"] == kinds[0]).unwrap();
    let run = &changed["scraping_job"];
    assert_eq!(run["job_id"], Value::from(made.job_id));
    assert_eq!(run["parameters"]["locations"][0], "Indianapolis, IN");

    let (address, (begun, _)) = (windrow.address(), oneshot::channel());
    let token = objects[0]["resume_token"].as_str().unwrap().to_owned();
    let again = tokio::task::spawn_blocking(move || {
        follow(&address, &["--output", "json", "--resume-token", &token], "\"synced\"", begun).0
    });
    let again = again.await.unwrap();
    let missed: Value = serde_json::from_str(&again[0]).unwrap();
    assert_eq!(missed["scraping_job"]["job_id"], run["job_id"]);
    assert!(again.iter().any(|line| line.contains("\"completed\"")), "{again:#?}");
    windrow.stop().await;
}

#[tokio::test]
async fn objects_of_a_watch_without_news_have_its_token_as_it_moves() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let flags = &["--json", "--filter", "labels.team = nobody"];

    let made = windrow.trigger("job");
    let (lines, code, _) = followed(&windrow, flags, "\"bookmark\"", made).await;

    let objects: Vec<Value> = lines.iter().map(|l| serde_json::from_str(l).unwrap()).collect();
    let kinds: Vec<_> = objects.iter().map(|o| o["kind"].as_str().unwrap()).collect();
    assert_eq!((code, kinds), (Some(130), vec!["synced", "bookmark"]));
    let tokens: Vec<_> = objects.iter().map(|o| o["resume_token"].as_str().unwrap()).collect();
    assert!(!tokens[1].is_empty() && tokens[0] != tokens[1], "{tokens:?}");
    windrow.stop().await;
}

#[tokio::test]
async fn a_watch_of_one_run_says_that_its_connection_is_lost_and_found() {
    let windrow = Windrow::start().await;
    let slow = proto::ScheduledJob { parameters: Some(parameters(SLOW)), ..job("job") };
    windrow.create_as(slow).await.unwrap();
    let run = windrow.trigger("job").await.job_id;
    wait_for(&mut windrow.client.watch(&run).states(), proto::ScrapingJobStatus::Running).await;
    let proxy = Proxy::start(&windrow.address()).await;
    let mut command = tokio::process::Command::from(program::command("windrow"));
    command.args(["--server", &proxy.address, "watch", &run]);
    let mut process =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut states = tokio::io::BufReader::new(process.stdout.take().unwrap()).lines();
    let mut remarks = tokio::io::BufReader::new(process.stderr.take().unwrap()).lines();

    let watched = tokio::time::timeout(PATIENCE, async {
        let first = states.next_line().await.unwrap().unwrap();
        proxy.cut();
        let lost = remarks.next_line().await.unwrap().unwrap();
        let found = remarks.next_line().await.unwrap().unwrap();
        windrow.cancel(&run).await.unwrap();
        (first, lost, found, process.wait().await.unwrap().code())
    });
    let (first, lost, found, code) = watched.await.expect("the watch does not resume");

    assert!(first.starts_with("running"), "{first}");
    assert!(lost.starts_with("Connection lost; reconnecting: "), "{lost}");
    assert_eq!((&*found, code), ("Reconnected", Some(5)));
    windrow.stop().await;
}

#[tokio::test]
async fn a_watch_of_all_runs_says_that_its_connection_is_lost_and_found() {
    let windrow = Windrow::start().await;
    let slow = proto::ScheduledJob { parameters: Some(parameters(SLOW)), ..job("job") };
    windrow.create_as(slow).await.unwrap();
    let run = windrow.trigger("job").await.job_id;
    wait_for(&mut windrow.client.watch(&run).states(), proto::ScrapingJobStatus::Running).await;
    for flags in [&[][..], &["--json"]] {
        let proxy = Proxy::start(&windrow.address()).await;
        let mut command = tokio::process::Command::from(program::command("windrow"));
        command.args(["--server", &proxy.address, "watch", "--all"]).args(flags);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let mut runs = tokio::io::BufReader::new(process.stdout.take().unwrap()).lines();
        let mut remarks = tokio::io::BufReader::new(process.stderr.take().unwrap()).lines();

        let watched = tokio::time::timeout(PATIENCE, async {
            runs.next_line().await.unwrap().unwrap();
            proxy.cut();
            let lost = remarks.next_line().await.unwrap().unwrap();
            (lost, remarks.next_line().await.unwrap().unwrap())
        });
        let (lost, found) = watched.await.expect("the watch does not resume");

        assert!(lost.contains("Connection lost; reconnecting: "), "{lost}");
        assert!(found == "Reconnected" || found == "{\"hint\":\"Reconnected\"}", "{found}");
    }
    windrow.stop().await;
}

#[tokio::test]
async fn the_id_of_a_scheduled_job_leads_to_the_watch_of_its_runs() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let address = windrow.address();
    let watch = move |id: &'static str| {
        let address = address.clone();
        tokio::task::spawn_blocking(move || {
            let refused = program::windrow(&address, &["watch", id]);
            (refused.status.code(), String::from_utf8(refused.stderr).unwrap())
        })
    };

    let (of_job, of_none) = (watch("job").await.unwrap(), watch("none").await.unwrap());

    let hint = "\njob is a scheduled job; watch its runs with: windrow watch --all --job job\n";
    assert_eq!(of_job, (Some(1), format!("error: Run not found: job{hint}")));
    assert_eq!(of_none, (Some(1), "error: Run not found: none\n".to_owned()));
    windrow.stop().await;
}
