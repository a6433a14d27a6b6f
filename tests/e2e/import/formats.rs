//! Files as mongoexport and people write them, imported by the program.

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use sqlx::{Connection as _, Executor as _};
use windrow_client::proto;

use super::SETTINGS;
use crate::support::database::new_database;
use crate::support::{Windrow, program};

/// The example of the earlier system: a run_count of 15, of which two runs are kept.
const JOB: &str = r#"{"_id":{"$oid":"65a1f0"},"scheduled_job_id":"sold_daily_indy","name":"Daily","status":"active","cron_expression":"0 2 * * *","timezone":"Eastern Standard Time","locations":["Indianapolis, IN"],"run_count":{"$numberLong":"15"},"last_run_at":{"$date":{"$numberLong":"1736733600000"}},"last_run_status":"completed","last_run_job_id":"scheduled_sold_daily_indy_1736830800_def456"}"#;
const RUN: &str = r#"{"job_id":"triggered_sold_daily_indy_1736841234_abc123","scheduled_job_id":"sold_daily_indy","status":"completed","locations":["Indianapolis, IN"],"created_at":{"$date":"2025-01-13T15:30:00Z"},"total_locations":2147483648}"#;
const LATE: &str = r#"{"job_id":"scheduled_sold_daily_indy_1736830800_def456","scheduled_job_id":"sold_daily_indy","status":"completed","created_at":"2025-01-13T02:00:00Z","completed_at":"9999-12-31T23:59:59-05:00"}"#;

fn import(dir: &Path, url: &str, args: &[&str], stdin: &[u8]) -> Output {
    std::fs::write(dir.join("windrow.toml"), SETTINGS).unwrap();
    let mut child = program::command("windrow-server")
        .args(["import", "--database-url", url])
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    child.wait_with_output().unwrap()
}

fn pretty(document: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(document).unwrap();
    serde_json::to_string_pretty(&value).unwrap().replace("  ", "\t")
}

fn gzip(text: &str) -> Vec<u8> {
    let mut child = std::process::Command::new("gzip")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[tokio::test]
async fn every_layout_of_an_export_is_imported_and_a_dry_run_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let url = new_database().await;
    let mut database = sqlx::PgConnection::connect(&url).await.unwrap();
    let empty = sqlx::raw_sql("drop schema public cascade; create schema public");
    database.execute(empty).await.unwrap();
    let lines = format!("{JOB}\n{RUN}\n{LATE}\n");
    let array = format!("[{JOB},{RUN},{LATE}]\n");
    let long = format!("[{},\n{},\n{}]\n", pretty(JOB), pretty(RUN), pretty(LATE));
    let crlf = format!("\u{feff}{}", lines.replace('\n', "\r\n"));
    for (name, bytes) in [
        ("lines", lines.clone().into_bytes()),
        ("array", array.clone().into_bytes()),
        ("long", long.into_bytes()),
        ("crlf", crlf.into_bytes()),
        ("cr", lines.replace('\n', "\r").into_bytes()),
        ("gzip", gzip(&array)),
    ] {
        std::fs::write(dir.path().join(name), &bytes).unwrap();
        for (file, stdin) in [(name, [].as_slice()), ("-", &bytes)] {
            let output = import(dir.path(), &url, &["--dry-run", file], stdin);
            let text = String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
            assert!(text.contains("scheduled jobs: 1 read, 1 would be imported"), "{name}: {text}");
            assert!(text.contains("runs: 2 read, 2 would be imported"), "{name}: {text}");
            for note in ["'America/New_York'", "total_locations", "completed_at"] {
                assert!(text.contains(note), "{name}: {text}");
            }
        }
    }
    let tables = "select count(*) from pg_class where relnamespace = 'public'::regnamespace";
    let tables: i64 = sqlx::query_scalar(tables).fetch_one(&mut database).await.unwrap();
    assert_eq!(tables, 0, "a dry run changes nothing");

    let output = import(dir.path(), &url, &["gzip"], &[]);

    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let windrow = Windrow::start_on(&url, |_| {}).await;
    let detail = windrow.get("sold_daily_indy").await;
    let job = detail.scheduled_job.unwrap();
    assert_eq!((job.run_count, detail.total_runs, detail.job_runs.len()), (15, 2, 2));
    assert_eq!(job.timezone, "America/New_York");
    let request = proto::ListScrapingJobsRequest {
        scheduled_job_id: "sold_daily_indy".to_owned(),
        ..Default::default()
    };
    let listed = windrow.client.raw().list_scraping_jobs(request).await.unwrap();
    assert_eq!(listed.total, 2);
    windrow.stop().await;
}

#[tokio::test]
async fn a_file_of_another_format_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let url = new_database().await;
    let utf16: Vec<u8> = JOB.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, expected) in [
        ([b"\xff\xfe".as_slice(), &utf16].concat(), "stdin: is UTF-16 text"),
        (b"_id,job_id,status\n1,x,failed\n".to_vec(), "stdin: is CSV"),
        (b"\x16\0\0\0\x02hello\0\x06\0\0\0world\0\0".to_vec(), "stdin: is BSON"),
    ] {
        let output = import(dir.path(), &url, &["--dry-run", "-"], &bytes);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && text.contains(expected), "{output:?}");
    }
    let latin1 = [b"{\"job_id\":\"caf\xe9\"}\n".as_slice(), RUN.as_bytes()].concat();
    let output = import(dir.path(), &url, &["--dry-run", "-"], &latin1);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(text.contains("stdin:1: is not UTF-8") && text.contains("1 would be"), "{text}");
}
