//! A server follows the time zone rules of its system, in files that `zic` compiles.

use std::fs;
use std::path::Path;
use std::process::Command;

use chrono::{DateTime, Days, Utc};
use tempfile::TempDir;
use windrow_client::{Client, proto};
use windrow_server::clock::SystemClock;
use windrow_server::sources::SAMPLE;

use crate::support::database::new_database;
use crate::support::program::{Program, command};
use crate::support::{job, parameters};

const ZONE: &str = "America/Vancouver";

/// A directory with rules for one zone, as a distribution installs it.
fn zoneinfo(edition: &str, rules: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("tzdata.zi");
    fs::write(&source, format!("# version {edition}\nZ {ZONE} {rules}\n")).unwrap();
    // On Debian, zic is not in the path of every user.
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap());
    let mut zic = Command::new("zic");
    zic.env("PATH", path).arg("-d").arg(directory.path()).arg(&source);
    assert!(zic.status().unwrap().success(), "{zic:?}");
    directory
}

fn start(database_url: &str, directory: &Path, more: &[&str]) -> Program {
    let environment = [("DATABASE_URL", database_url), ("TZDIR", directory.to_str().unwrap())];
    Program::start(&[&["--metrics-listen", "127.0.0.1:0"], more].concat(), "", &environment)
}

async fn connect(program: &Program) -> Client {
    Client::connect(&program.address).await.unwrap()
}

fn at_nine() -> proto::ScheduledJob {
    proto::ScheduledJob {
        cron_expression: "0 9 * * *".to_owned(),
        timezone: ZONE.to_owned(),
        parameters: Some(parameters(SAMPLE)),
        ..job("job")
    }
}

/// The hours, in UTC, of the next ticks at nine.
async fn hours(client: &Client, count: i32) -> Vec<String> {
    let request = proto::PreviewTicksRequest {
        cron_expression: "0 9 * * *".to_owned(),
        timezone: ZONE.to_owned(),
        count,
        ..Default::default()
    };
    let ticks = client.raw().preview_ticks(request).await.unwrap().ticks;
    ticks.iter().map(|tick| time(tick.tick_at.as_ref()).format("%H:%M").to_string()).collect()
}

fn time(timestamp: Option<&prost_types::Timestamp>) -> DateTime<Utc> {
    DateTime::from_timestamp(timestamp.unwrap().seconds, 0).unwrap()
}

async fn metrics(program: &Program) -> String {
    // reqwest requires a provider even for plain HTTP.
    rustls::crypto::ring::default_provider().install_default().ok();
    let line = program.log_line("Serving metrics on").await;
    let url = line.split_once("Serving metrics on ").unwrap().1.trim();
    reqwest::get(url).await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn ticks_follow_a_law_that_changes() {
    // In three days, clocks go from one hour to three hours before UTC.
    let day = (SystemClock::uncorrected() + Days::new(3)).format("%Y %b %d");
    let rules = format!("1 - OLD {day} 0:00u\n3 - NEW");
    let directory = zoneinfo("9999a", &rules);
    let server = start(&new_database().await, directory.path(), &[]);

    let hours = hours(&connect(&server).await, 5).await;

    assert_eq!((hours[0].as_str(), hours[4].as_str()), ("08:00", "06:00"), "{hours:?}");
    let path = directory.path().display();
    server.log_line(&format!("Using time zone data 9999a in {path}")).await;
    let line = format!("windrow_time_zone_data_info{{edition=\"9999a\",origin=\"{path}\"}} 1");
    let metrics = metrics(&server).await;
    assert!(metrics.contains(&line), "{metrics}");
}

#[tokio::test]
async fn a_start_with_other_rules_moves_next_ticks_and_says_so() {
    let database = new_database().await;
    let old = zoneinfo("9999a", "-8 - PST");
    let server = start(&database, old.path(), &[]);
    let client = connect(&server).await;
    let before = time(client.create_job(at_nine()).await.unwrap().next_run_at.as_ref());
    assert_eq!(before.format("%H:%M").to_string(), "17:00");
    drop(client);
    assert_eq!(server.process.terminate(), Some(0));

    let new = zoneinfo("9999b", "-7 - MST");
    let server = start(&database, new.path(), &[]);

    let said = server.log_line("The next tick of job job in America/Vancouver has moved").await;
    assert!(said.contains("17:00:00Z to ") && said.contains("16:00:00Z"), "{said}");
    server.log_line("(9999b in ").await;
    let after = connect(&server).await.get_job("job").await.unwrap();
    assert_eq!(time(after.next_run_at.as_ref()).format("%H:%M").to_string(), "16:00");
}

#[tokio::test]
async fn the_setting_chooses_the_rules() {
    let directory = zoneinfo("2000a", "-1 - OLD");
    let database = new_database().await;
    for (choice, expected, zones) in [
        ("newest", "UTC", "bundled"),
        ("bundled", "UTC", "bundled"),
        ("system", "10:00", "2000a in "),
    ] {
        let server = start(&database, directory.path(), &["--time-zone-data", choice]);
        let hours = hours(&connect(&server).await, 1).await;
        assert_eq!(hours[0] == "10:00", expected == "10:00", "{choice}: {hours:?}");
        server.log_line(zones).await;
    }
}

#[test]
fn the_version_and_the_settings_name_the_editions() {
    let directory = zoneinfo("9999a", "-1 - OLD");
    let path = directory.path().display();
    let output = |arguments: &[&str]| {
        let mut program = command("windrow-server");
        let program = program.current_dir(directory.path()).env("TZDIR", directory.path());
        let output = program.args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let version = output(&["--version"]);
    assert!(version.starts_with("windrow-server "), "{version}");
    let bundled = version.lines().find_map(|line| line.strip_prefix("time zone data: ")).unwrap();
    assert!(bundled.ends_with(&format!(", bundled; 9999a in {path}")), "{version}");

    let settings = output(&["config"]);
    assert!(settings.contains(&format!("# time zone data: 9999a in {path}\n")), "{settings}");
    assert!(settings.contains("time_zone_data = \"newest\"  # default\n"), "{settings}");
    let settings = output(&["config", "--time-zone-data", "bundled"]);
    assert!(settings.contains(", bundled\n"), "{settings}");
}
