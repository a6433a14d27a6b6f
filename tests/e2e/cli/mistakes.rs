//! Likely mistakes of new users, and what the command says about them.

use std::process::{Command, Output, Stdio};

use tokio::io::AsyncBufReadExt as _;
use windrow_client::proto;
use windrow_server::sources::{SourceSettings, WorkerSettings};

use crate::support::{PATIENCE, QUICK, SLOW, Windrow, job, parameters, program};

const WAITS: &str = "this server has no source 'quick': runs wait for a server that has it";

async fn run(server: &Windrow, arguments: &[&str]) -> Output {
    let address = server.address();
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let run = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        program::windrow(&address, &arguments)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// The exit code and what is on stderr.
async fn said(server: &Windrow, arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(server, arguments).await;
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

async fn shown(server: &Windrow, arguments: &[&str]) -> String {
    let output = run(server, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn every_command_about_a_job_says_if_the_server_does_not_have_its_source() {
    let windrow = Windrow::start().await;
    let elsewhere = Windrow::start_on(&windrow.database_url, |config| config.sources.clear()).await;
    windrow.create("job").await;
    let ended = windrow.trigger("job").await.job_id;
    windrow.end(&ended).await;
    let next = windrow.get_job("job").await.next_run_at.unwrap().to_string();
    let hour =
        ["backfill", "job", "--from", "2020-01-01T00:00:00Z", "--to", "2022-01-01T00:00:00Z"];
    let commands: [&[&str]; 6] = [
        &["jobs", "get", "job"],
        &["jobs", "update", "job", "--name", "Renamed"],
        &["preview", "--job", "job"],
        &["trigger", "job", "--dry-run"],
        &["trigger", &ended, "--dry-run"],
        &[&hour[..], &["--dry-run"]].concat(),
    ];

    for arguments in commands {
        let (code, there) = said(&elsewhere, arguments).await;
        assert_eq!(code, Some(0), "{arguments:?}: {there}");
        assert!(there.contains(&format!("warning: {WAITS}\n")), "{arguments:?}: {there}");
        let (_, here) = said(&windrow, arguments).await;
        assert!(!here.contains("warning"), "{arguments:?}: {here}");
    }
    let slow = proto::ScheduledJob { parameters: Some(parameters(SLOW)), ..job("slow") };
    windrow.create_as(slow).await.unwrap();
    let slow = windrow.trigger("slow").await.job_id;
    windrow.cancel(&slow).await.unwrap();
    windrow.end(&slow).await;
    let (code, retry) = said(&elsewhere, &["runs", "retry", &slow, "--dry-run"]).await;
    let waits = WAITS.replace(QUICK, SLOW);
    assert_eq!((code, retry), (Some(0), format!("warning: {waits}\n")));
    windrow.client.delete_job("slow").await.unwrap();
    let list = shown(&elsewhere, &["jobs", "list"]).await;
    assert!(list.contains("\n1 job has warnings: job. Show them: windrow jobs get"), "{list}");
    let explained = shown(&elsewhere, &["explain", "job", &next]).await;
    assert!(
        explained.starts_with(&format!("A run will be created. But {WAITS}.\n")),
        "{explained}"
    );
    elsewhere.stop().await;
    windrow.stop().await;
}

#[tokio::test]
async fn a_mistyped_job_is_not_a_job_without_runs() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let commands: [&[&str]; 3] =
        [&["runs", "list", "--job"], &["runs", "cancel", "--job"], &["watch", "--all", "--job"]];
    for arguments in commands {
        let expected = (Some(1), "error: Scheduled job not found: jbo\n".to_owned());
        assert_eq!(said(&windrow, &[arguments, &["jbo"]].concat()).await, expected);
    }
    assert_eq!(said(&windrow, &["runs", "list", "--job", "job"]).await.0, Some(0));
    assert_eq!(said(&windrow, &["runs", "cancel", "--job", "job"]).await.0, Some(0));
    windrow.stop().await;
}

#[tokio::test]
async fn a_second_cancellation_says_that_it_changes_nothing() {
    let windrow = Windrow::start().await;
    let slow = proto::ScheduledJob { parameters: Some(parameters(SLOW)), ..job("slow") };
    windrow.create_as(slow).await.unwrap();
    windrow.create("job").await;
    let run = windrow.trigger("slow").await.job_id;
    let done = windrow.trigger("job").await.job_id;
    windrow.end(&done).await;

    shown(&windrow, &["runs", "cancel", &run]).await;
    windrow.end(&run).await;
    for arguments in [&["runs", "cancel", &*run][..], &["runs", "cancel", &run, "--dry-run"]] {
        let again = shown(&windrow, arguments).await;
        assert!(
            again.starts_with(&format!("Nothing changed: run {run} is cancelled\n")),
            "{again}"
        );
    }
    for flags in [&[][..], &["--dry-run"]] {
        let (code, ended) = said(&windrow, &[&["runs", "cancel", &*done], flags].concat()).await;
        assert_eq!(code, Some(1), "{ended}");
        assert!(ended.contains("is completed and cannot be cancelled"), "{ended}");
    }
    windrow.stop().await;
}

#[tokio::test]
async fn an_empty_id_makes_no_job() {
    let windrow = Windrow::start().await;
    let create = ["jobs", "create", "", "--name", "Job", "--cron", "* * * * *", "--location", "x"];
    assert_eq!(said(&windrow, &create).await.0, Some(2));
    windrow.stop().await;
}

#[tokio::test]
async fn a_preview_says_if_its_ticks_create_no_runs() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let preview = ["preview", "--job", "job", "--count", "1"];
    assert_eq!(said(&windrow, &preview).await.1, "");
    windrow.client.pause_job("job").reason("Holidays").await.unwrap();
    let paused = "warning: the job is paused (Holidays): its ticks create no runs\n";
    assert_eq!(said(&windrow, &preview).await.1, paused);
    windrow.client.delete_job("job").await.unwrap();
    let deleted = "warning: the job is deleted: its ticks create no runs\n";
    assert_eq!(said(&windrow, &preview).await.1, deleted);
    windrow.stop().await;
}

#[tokio::test]
async fn a_dry_run_says_so_where_its_result_does_not() {
    let windrow = Windrow::start().await;
    let create = ["jobs", "create", "--name", "J", "--location", "a", "--source", QUICK];
    let create = [&create[..], &["--cron", "@daily", "--dry-run"]].concat();
    assert_eq!(said(&windrow, &create).await, (Some(0), String::new()));
    let quiet = said(&windrow, &[&create[..], &["-q"]].concat()).await;
    assert_eq!(quiet, (Some(0), "Dry run: nothing was changed.\n".to_owned()));
    let json = said(&windrow, &[&create[..], &["--json"]].concat()).await;
    assert_eq!(json.1, "{\"hint\":\"Dry run: nothing was changed.\"}\n");
    windrow.stop().await;
}

#[tokio::test]
async fn a_closed_pipe_is_no_error() {
    let windrow = Windrow::start().await;
    windrow.create("job").await;
    let (address, run) = (windrow.address(), windrow.trigger("job").await.job_id);
    let code = move |arguments: &[&str]| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command: Command = program::command("windrow");
        command.args(["--server", &address]).args(arguments).stdout(writer);
        command.stderr(Stdio::null()).status().unwrap().code()
    };
    let codes = tokio::task::spawn_blocking(move || {
        [code(&["jobs", "list"]), code(&["jobs", "export"]), code(&["watch", &run])]
    });
    // The exit code of a watch says how its run ended.
    assert_eq!(codes.await.unwrap(), [Some(0), Some(0), Some(1)]);
    windrow.stop().await;
}

#[test]
fn what_no_command_can_use_is_wrong_usage() {
    let home = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str]| {
        let mut command = program::command("windrow");
        let output = command.env("XDG_CONFIG_HOME", home.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let unnamed = refused(&["context", "set", "", "--server", "a"]);
    assert!(unnamed.contains("the name of a context has letters"), "{unnamed}");
    for server in ["ftp://a", "https://", "a,,b", "postgres://a"] {
        let unusable = refused(&["context", "set", "x", "--server", server]);
        assert!(unusable.contains("--server takes HOST, HOST:PORT or https://HOST"), "{unusable}");
    }
    let labels = ["--label", "a=1", "--label", "a=2"];
    let create = ["jobs", "create", "--name", "J", "--cron", "@daily", "--location", "a"];
    let commands: [&[&str]; 4] = [
        &create,
        &["jobs", "update", "j"],
        &["trigger", "j"],
        &["runs", "submit", "--location", "a"],
    ];
    for arguments in commands {
        let twice = refused(&[arguments, &labels].concat());
        assert!(twice.contains("--label gives a key twice"), "{arguments:?}: {twice}");
    }
}

#[test]
fn the_help_of_a_trigger_has_no_defaults_of_new_jobs() {
    let help = program::command("windrow").args(["trigger", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(!help.contains("10000") && !help.contains("the server's"), "{help}");
    assert!(help.contains("[default: immediate]"), "{help}");
}

#[tokio::test]
async fn a_watch_says_what_its_run_waits_for() {
    let remote = SourceSettings::Worker(WorkerSettings::default());
    let windrow =
        Windrow::start_with(|config| config.sources.extend([("remote".to_owned(), remote)])).await;
    let waiting = proto::ScheduledJob { parameters: Some(parameters("remote")), ..job("job") };
    windrow.create_as(waiting).await.unwrap();
    let run = windrow.trigger("job").await.job_id;
    let mut command = tokio::process::Command::from(program::command("windrow"));
    command.args(["--server", &windrow.address(), "watch", &run]);
    let mut process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = tokio::io::BufReader::new(process.stdout.take().unwrap()).lines();

    let told = tokio::time::timeout(PATIENCE, async {
        let first = lines.next_line().await.unwrap().unwrap();
        (first, lines.next_line().await.unwrap().unwrap())
    });
    let (first, second) = told.await.expect("the watch does not say it");

    assert!(first.starts_with("pending since "), "{first}");
    let reason = "; waiting for a worker for source 'remote': none is connected";
    assert_eq!(second, format!("{first}{reason}"));
    windrow.stop().await;
}
