//! No process of an `exec` program outlives its scrape.

use rustix::process::{Pid, test_kill_process};

use super::*;

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(5), "{what}: timed out");
        tokio::task::yield_now().await;
    }
}

/// A zombie that a container's init does not reap counts as dead.
fn is_alive(id: &str) -> bool {
    let pid = Pid::from_raw(id.parse().unwrap()).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    test_kill_process(pid).is_ok() && !stat.contains(") Z")
}

/// Writes the id of its background process as a row, then waits forever.
const WITH_GRANDCHILD: &str = r#"sleep 300 & echo "{\"property_id\":\"$!\"}"; wait"#;

/// Starts [`WITH_GRANDCHILD`], passes the running scrape to `act`, and checks that the grandchild dies.
async fn with_grandchild<F: Future>(
    settings: ExecSettings,
    stop: &CancellationToken,
    act: impl FnOnce(ScrapeFuture, TaskOutput) -> F,
) -> F::Output {
    let (task, mut output) = Task::new(request());
    let source = source(SourceSettings::Exec(settings));
    let stop = stop.clone();
    let mut scraping: ScrapeFuture =
        Box::pin(async move { windrow_worker::scrape(source.as_ref(), task, &stop).await });
    let found = tokio::select! {
        result = &mut scraping => panic!("ended early: {result:?}"),
        found = output.next() => found.unwrap(),
    };
    let Found::Property(Property { id: grandchild, .. }) = found else {
        panic!("no row: {found:?}")
    };
    assert!(is_alive(&grandchild));
    let returned = act(scraping, output).await;
    eventually("the grandchild's end", || !is_alive(&grandchild)).await;
    returned
}

type ScrapeFuture = std::pin::Pin<Box<dyn Future<Output = Result<(), SourceError>>>>;

#[tokio::test]
async fn a_grandchild_that_holds_stdout_open_is_killed_after_the_program_ends() {
    let start = Instant::now();
    let (rows, outcome) = run(r#"sleep 300 & echo "{\"property_id\":\"$!\"}""#).await;
    assert_eq!(outcome.result, Ok(()));
    assert!(start.elapsed() < Duration::from_secs(4));
    eventually("the grandchild's end", || !is_alive(&rows[0].id)).await;
}

#[tokio::test]
async fn a_process_that_left_the_group_does_not_hang_the_scrape() {
    let start = Instant::now();
    let script = r#"setsid sleep 20 & until [ "$(cut -d' ' -f5 /proc/$!/stat)" = $! ]; do :; done
        echo "{\"property_id\":\"$!\"}""#;
    let (rows, outcome) = run(script).await;
    assert_eq!((outcome.result, rows.len()), (Ok(()), 1));
    assert!(start.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn a_timeout_kills_the_whole_group() {
    let after = Duration::from_secs(2);
    let settings = ExecSettings { timeout: after, ..shell(WITH_GRANDCHILD) };
    let stop = CancellationToken::new();
    // Keeps the output: its drop would stop the scrape first.
    let act = async |scraping: ScrapeFuture, _output| scraping.await;
    let result = with_grandchild(settings, &stop, act).await;
    assert_eq!(result, Err(SourceError::TimedOut { after }));
}

#[tokio::test]
async fn a_stop_kills_even_a_group_that_ignores_sigterm() {
    let stop = CancellationToken::new();
    let deaf = shell(&format!("trap '' TERM; {WITH_GRANDCHILD}"));
    let act = async |scraping: ScrapeFuture, _output| {
        let start = Instant::now();
        stop.cancel();
        (scraping.await, start.elapsed())
    };
    let (result, elapsed) = with_grandchild(deaf, &stop, act).await;
    assert_eq!(result, Err(SourceError::Stopped));
    assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
}

#[tokio::test]
async fn the_log_of_a_stopped_program_is_complete() {
    let stop = CancellationToken::new();
    let polite = shell(&format!("trap 'echo bye >&2; exit' TERM; {WITH_GRANDCHILD}"));
    let act = async |scraping: ScrapeFuture, output| {
        stop.cancel();
        tokio::join!(scraping, collect(output)).1.1
    };
    assert_eq!(with_grandchild(polite, &stop, act).await, ["bye"]);
}

#[tokio::test]
async fn a_dropped_scrape_kills_the_whole_group() {
    let stop = CancellationToken::new();
    let act = async |scraping: ScrapeFuture, _output| drop(scraping);
    with_grandchild(shell(WITH_GRANDCHILD), &stop, act).await;
}

#[tokio::test]
async fn a_dropped_receiver_stops_the_program() {
    let stop = CancellationToken::new();
    let act = async |scraping: ScrapeFuture, output| {
        drop::<TaskOutput>(output);
        scraping.await
    };
    let result = with_grandchild(shell(WITH_GRANDCHILD), &stop, act).await;
    assert_eq!(result, Err(SourceError::Stopped));
}
