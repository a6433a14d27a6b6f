//! Input, output and exit of `exec` programs.

use super::*;

#[tokio::test]
async fn a_program_reads_its_request_and_its_rows_arrive() {
    let script = r#"read -r request; printf '{"property_id":"a","got":%s}\n\n  \n{"property_id":"b"}' \
        "$request"; echo done >&2"#;
    let (rows, outcome) = run(script).await;
    assert_eq!(outcome.result, Ok(()));
    assert_eq!(outcome.log, ["done"]);
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
    check("oops", "line 3: not JSON but plain text; write logs to stderr: oops").await;
    check("7", "line 3: not a JSON object: 7").await;
    let list = "line 3: not a JSON object but a list; write each object on a line of its own: [1]";
    check("[1]", list).await;
    check("{}", "line 3: property_id is missing").await;
    let no_id = "line 3: property_id must be a text or a whole number";
    check(r#"{"property_id":7.5}"#, no_id).await;
    check(
        &format!(r#"{{"property_id":"p","a":{}1{}}}"#, "[".repeat(50), "]".repeat(50)),
        "line 3: property 'p' is nested deeper than 30 levels",
    )
    .await;
    check(r#"{"property_id":""}"#, "line 3: property_id must have 1 to 200 characters").await;
    check(r"\377", "line 3: not UTF-8 (at byte 1): \u{fffd}").await;
    let nul = r#"{"property_id":"b","x":["\\u0000"]}"#;
    check(nul, "line 3: property 'b' contains U+0000, which cannot be stored").await;
}

#[tokio::test]
async fn an_endless_line_fails_the_location() {
    let (rows, outcome) = run(r#"echo '{"property_id":"a"}'; tr '\0' x </dev/zero"#).await;
    assert_eq!(ids(&rows), ["a"]);
    assert_eq!(failed(&outcome), "line 2: longer than 1048576 bytes");
}

#[tokio::test]
async fn a_line_may_have_one_mebibyte_and_not_a_byte_more() {
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
async fn an_exit_status_fails_the_location_with_the_last_line_of_stderr() {
    let (rows, outcome) = run(r#"echo '{"property_id":"a"}'; echo no luck >&2; exit 3"#).await;
    assert_eq!(ids(&rows), ["a"]);
    assert_eq!(failed(&outcome), "exit status 3: no luck");
    let (_, outcome) = run("kill -KILL $$").await;
    assert_eq!(failed(&outcome), "killed by SIGKILL");
}

#[tokio::test]
async fn an_endless_program_fails_the_location_unless_the_run_has_a_limit() {
    let endless = r#"while :; do echo '{"property_id":"a"}'; done"#;
    let (rows, outcome) = run(endless).await;
    assert!(failed(&outcome).starts_with("has more than 100 listings"), "{outcome:?}");
    assert_eq!(rows.len(), 100);
    let limited = ScrapeRequest { parameters: json!({ "limit": 100 }), ..request() };
    let (rows, outcome) = scrape(SourceSettings::Exec(shell(endless)), limited).await;
    assert_eq!(outcome.result, Ok(()));
    assert_eq!(rows.len(), 100);
    assert_eq!(outcome.log, ["windrow: ended the program after its first 100 rows"]);
}

#[tokio::test]
async fn exactly_the_maximum_of_rows_is_complete() {
    let script = r#"i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo "{\"property_id\":\"$i\"}"; done; sleep 1.2"#;
    let (rows, outcome) = run(script).await;
    assert_eq!((outcome.result, rows.len()), (Ok(()), 100));
}

#[tokio::test]
async fn a_program_that_knows_its_limit_exits_by_itself() {
    let request = ScrapeRequest { limit: 1, parameters: json!({ "limit": 1 }), ..request() };
    let script = shell(r#"echo '{"property_id":"a"}'"#);
    let (rows, outcome) = scrape(SourceSettings::Exec(script), request).await;
    assert_eq!((outcome.result, outcome.log.len(), rows.len()), (Ok(()), 0, 1));
}

#[tokio::test]
async fn a_long_log_keeps_its_beginning_and_its_end_as_storable_text() {
    let script = r"i=0; while [ $i -lt 5000 ]; do i=$((i+1)); echo line $i >&2; done; printf 'a\0\377end' >&2";
    let (_, outcome) = run(script).await;
    assert_eq!(outcome.result, Ok(()));
    assert_eq!(outcome.log[0], "line 1");
    assert_eq!(outcome.log.last().unwrap(), "a\u{fffd}\u{fffd}end");
    assert!(outcome.log.len() < 2_000, "{}", outcome.log.len());
    assert!(outcome.log.iter().any(|line| line.starts_with("windrow: dropped ")));
}

#[tokio::test]
async fn a_byte_order_mark_is_ignored() {
    let (rows, outcome) = run(r#"printf '\357\273\277{"property_id":"a"}\n\357\273\277\n'"#).await;
    assert_eq!((outcome.result, ids(&rows)), (Ok(()), vec!["a"]));
}

#[tokio::test]
async fn progress_on_one_line_is_logged_as_a_terminal_shows_it() {
    let (_, outcome) = run(r"printf ' 1%%\r 50%%\r\n100%%\r' >&2; printf 'done\r\n' >&2").await;
    assert_eq!(outcome.log, [" 50%", "done"]);
    let endless = "i=0; while [ $i -lt 9000 ]; do i=$((i+1)); printf 'at %s\\r' $i >&2; done";
    assert_eq!(run(endless).await.1.log, ["at 9000"]);
}

#[tokio::test]
async fn secrets_of_the_settings_are_hidden_in_the_log_and_in_reasons() {
    let script = r#"echo "key $API_KEY, url $FEED, argument $2" >&2
        printf "%0296d" 0 >&2; echo " $API_KEY" >&2
        exit 1"#;
    let mut settings = shell(script);
    settings.command.extend(["sh", "--token", "arg-9f2c", "--api-key=opt-77"].map(str::to_owned));
    for (name, value) in [("API_KEY", "k3y-5ecret"), ("FEED", "https://me:hush1@host/x?a=b")] {
        settings.environment.insert(name.to_owned(), value.to_owned());
    }
    let shown = settings.shown_command("***");
    assert_eq!(shown[4..], ["--token", "***", "--api-key=***"]);
    let (_, outcome) = scrape(SourceSettings::Exec(settings), request()).await;
    assert_eq!(outcome.log[0], "key ***, url https://me:***@host/x?a=b, argument ***");
    assert!(!failed(&outcome).contains("k3y"), "not even the part of a secret: {outcome:?}");
}

#[tokio::test]
async fn a_line_of_the_log_has_at_most_16_kib() {
    let (_, outcome) =
        run("tr '\\0' x </dev/zero | head -c 300000 >&2; echo >&2; echo end >&2").await;
    let lengths: Vec<usize> = outcome.log.iter().map(String::len).collect();
    assert_eq!(lengths, [16 * 1024, 3]);
}

#[tokio::test]
async fn the_log_arrives_while_the_program_works() {
    let (task, mut output) = Task::new(request());
    let source = source(SourceSettings::Exec(shell("echo begin >&2; read -r _; sleep 300")));
    let stop = CancellationToken::new();
    let reading = async {
        let Some(Found::Line(line)) = output.next().await else { panic!("no line") };
        stop.cancel();
        line.text
    };
    let (result, line) =
        tokio::join!(windrow_worker::scrape(source.as_ref(), task, &stop), reading);
    assert_eq!((result, line.as_str()), (Err(SourceError::Stopped), "begin"));
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
        r#"i=0; while [ $i -lt 80 ]; do i=$((i+1)); echo "{\"property_id\":\"$i\"}"; done"#;
    let (task, mut output) = Task::new(request());
    let (source, stop) = (source(SourceSettings::Exec(shell(script))), CancellationToken::new());
    let slow = async {
        let mut count = 0;
        let mut pace = tokio::time::interval(Duration::from_millis(30));
        while output.next().await.is_some() {
            pace.tick().await;
            count += 1;
        }
        count
    };
    let scraping = windrow_worker::scrape(source.as_ref(), task, &stop);
    assert_eq!(tokio::join!(scraping, slow), (Ok(()), 80));
}

#[tokio::test]
async fn a_program_inherits_only_a_few_variables() {
    // Cargo sets this variable for every test; it stands for a secret of the operator's.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let mut settings = shell("env >&2");
    settings.environment.insert("REGION".to_owned(), "k".to_owned());
    let (_, outcome) = scrape(SourceSettings::Exec(settings), request()).await;
    let has = |line: &str| outcome.log.iter().any(|logged| logged == line);
    assert!(has("REGION=k"));
    assert!(has("WINDROW_JOB_ID=job-1"));
    assert!(has("WINDROW_ATTEMPT=2"));
    assert!(has("WINDROW_LOCATION=Dallas, TX"));
    assert!(outcome.log.iter().any(|line| line.starts_with("PATH=")));
    assert!(!outcome.log.iter().any(|line| line.contains("CARGO")));
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
