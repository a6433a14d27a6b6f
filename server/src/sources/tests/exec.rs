//! What an `exec` program is told and what becomes of what it says.

use super::*;

#[tokio::test]
async fn a_program_reads_its_request_and_its_rows_arrive() {
    let script = r#"read -r request; printf '{"property_id":"a","got":%s}\n\n  \n{"property_id":"b"}' \
        "$request"; echo done >&2"#;
    let (rows, outcome) = run(script).await;
    assert_eq!(outcome.result, Ok(()));
    assert_eq!(outcome.log, "done\n");
    assert_eq!(ids(&rows), ["a", "b"]);
    let expected = json!({
        "schema": 1, "job_id": "job-1", "attempt": 2, "scheduled_job_id": null,
        "origin": "SCHEDULE", "tick_at": null, "reference_time": "2025-01-02T03:04:05Z",
        "location": "Dallas, TX", "parameters": {"listing_types": ["SOLD"]},
    });
    assert_eq!(rows[0].body["got"], expected);
    assert!(rows[1].body.is_empty());
}

#[tokio::test]
async fn a_bad_line_fails_the_location_and_keeps_the_rows_before() {
    let check = async |line: &str, expected: &str| {
        let script = format!(r#"printf '{{"property_id":"a"}}\n\n{line}\n'; sleep 300"#);
        let (rows, outcome) = run(&script).await;
        assert_eq!(ids(&rows), ["a"], "{line}");
        assert_eq!(failed(&outcome), expected, "{line}");
    };
    check("oops", "line 3: not JSON (at column 1)").await;
    check("[1]", "line 3: not a JSON object").await;
    check("{}", "line 3: property_id is missing").await;
    check(r#"{"property_id":7}"#, "line 3: property_id must be a string").await;
    check(r#"{"property_id":""}"#, "line 3: property_id must have 1 to 200 characters").await;
    check(r"\377", "line 3: not UTF-8").await;
    let nul = r#"{"property_id":"b","x":["\\u0000"]}"#;
    check(nul, "line 3: holds U+0000, which cannot be stored").await;
}

#[tokio::test]
async fn a_line_without_end_fails_the_location() {
    let (rows, outcome) = run(r#"echo '{"property_id":"a"}'; tr '\0' x </dev/zero"#).await;
    assert_eq!(ids(&rows), ["a"]);
    assert_eq!(failed(&outcome), "line 2: longer than 1048576 bytes");
}

#[tokio::test]
async fn a_line_may_have_one_mebibyte_and_no_byte_more() {
    let padded = |spaces: u32| {
        let padding = format!("head -c {spaces} /dev/zero | tr '\\0' ' '");
        format!(r#"printf '{{"property_id":"a"}}'; {padding}; echo"#)
    };
    let (rows, outcome) = run(&padded(1_048_557)).await;
    assert_eq!((outcome.result.clone(), ids(&rows)), (Ok(()), vec!["a"]));
    let (rows, outcome) = run(&padded(1_048_558)).await;
    assert_eq!(failed(&outcome), "line 1: longer than 1048576 bytes");
    assert!(rows.is_empty());
}

#[tokio::test]
async fn an_exit_status_fails_the_location_with_the_last_words() {
    let (rows, outcome) = run(r#"echo '{"property_id":"a"}'; echo no luck >&2; exit 3"#).await;
    assert_eq!(ids(&rows), ["a"]);
    assert_eq!(failed(&outcome), "exit status 3: no luck");
    let (_, outcome) = run("kill -KILL $$").await;
    assert_eq!(failed(&outcome), "killed by SIGKILL");
}

#[tokio::test]
async fn an_endless_program_fails_the_location_unless_the_run_wants_few() {
    let endless = r#"while :; do echo '{"property_id":"a"}'; done"#;
    let (rows, outcome) = run(endless).await;
    assert!(failed(&outcome).starts_with("has more than 100 listings"), "{outcome:?}");
    assert_eq!(rows.len(), 100);
    let few = ScrapeRequest { parameters: json!({ "limit": 100 }), ..request() };
    let (rows, outcome) = scrape(SourceSettings::Exec(shell(endless)), few).await;
    assert_eq!(outcome.result, Ok(()));
    assert_eq!(rows.len(), 100);
    assert_eq!(outcome.log, "windrow: ended the program after its first 100 rows\n");
}

#[tokio::test]
async fn exactly_as_many_rows_as_there_may_be_are_fine() {
    let script = r#"i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo "{\"property_id\":\"$i\"}"; done; sleep 1.2"#;
    let (rows, outcome) = run(script).await;
    assert_eq!((outcome.result, rows.len()), (Ok(()), 100));
}

#[tokio::test]
async fn a_program_that_minds_its_limit_ends_by_itself() {
    let request = ScrapeRequest { limit: 1, parameters: json!({ "limit": 1 }), ..request() };
    let script = shell(r#"echo '{"property_id":"a"}'"#);
    let (rows, outcome) = scrape(SourceSettings::Exec(script), request).await;
    assert_eq!((outcome.result, outcome.log.as_str(), rows.len()), (Ok(()), "", 1));
}

#[tokio::test]
async fn the_log_is_the_last_64_kib_as_storable_text() {
    let (_, outcome) = run(r"head -c 300000 /dev/zero >&2; printf '\377end' >&2").await;
    assert_eq!(outcome.result, Ok(()));
    assert!(outcome.log.len() <= 64 * 1024 && outcome.log.len() > 64 * 1024 - 4);
    assert!(!outcome.log.contains('\0') && outcome.log.ends_with("\u{fffd}end"));
}

#[tokio::test]
async fn a_program_that_never_reads_its_request_does_not_fail() {
    let request = ScrapeRequest { parameters: json!({"x": "y".repeat(300_000)}), ..request() };
    for script in ["exec <&-; echo '{\"property_id\":\"a\"}'", "echo '{\"property_id\":\"a\"}'"] {
        let (rows, outcome) = scrape(SourceSettings::Exec(shell(script)), request.clone()).await;
        assert_eq!((outcome.result, ids(&rows)), (Ok(()), vec!["a"]));
    }
}

#[tokio::test]
async fn a_slow_receiver_gets_all_rows_of_a_program_that_has_ended() {
    let script =
        r#"i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo "{\"property_id\":\"$i\"}"; done"#;
    let (sender, mut receiver) = mpsc::channel(1);
    let source = source(SourceSettings::Exec(shell(script)));
    let scraping = source.scrape(request(), sender, CancellationToken::new());
    let slow = async {
        let mut count = 0;
        let mut pace = tokio::time::interval(Duration::from_millis(60));
        while receiver.recv().await.is_some() {
            pace.tick().await;
            count += 1;
        }
        count
    };
    let (outcome, count) = tokio::join!(scraping, slow);
    assert_eq!((outcome.result, count), (Ok(()), 40));
}

#[tokio::test]
async fn the_environment_holds_nothing_of_the_servers_but_a_few_names() {
    // Cargo sets this for every test, as an operator would set a secret.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let mut settings = shell("env >&2");
    settings.environment.insert("API_KEY".to_owned(), "k".to_owned());
    let (_, outcome) = scrape(SourceSettings::Exec(settings), request()).await;
    assert!(outcome.log.contains("API_KEY=k\n"));
    assert!(outcome.log.contains("WINDROW_JOB_ID=job-1\n"));
    assert!(outcome.log.contains("WINDROW_ATTEMPT=2\n"));
    assert!(outcome.log.contains("WINDROW_LOCATION=Dallas, TX\n"));
    assert!(outcome.log.contains("PATH="));
    assert!(!outcome.log.contains("CARGO"));
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_a_broken_source() {
    for program in ["no-such-program-here", "/etc/passwd", "/"] {
        let settings = ExecSettings { command: vec![program.to_owned()], ..shell("") };
        let (_, outcome) = scrape(SourceSettings::Exec(settings), request()).await;
        assert!(matches!(outcome.result, Err(SourceError::Broken { .. })), "{program}");
    }
    let settings = ExecSettings { working_dir: Some("/no/such/dir".into()), ..shell("") };
    let (_, outcome) = scrape(SourceSettings::Exec(settings), request()).await;
    let reason = "working_dir /no/such/dir is not a directory".to_owned();
    assert_eq!(outcome.result, Err(SourceError::Broken { reason }));
}
