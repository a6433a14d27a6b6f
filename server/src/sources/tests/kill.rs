//! Nothing that an `exec` program starts outlives its scrape.

use rustix::process::{Pid, test_kill_process};

use super::*;

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(5), "{what} did not come true");
        tokio::task::yield_now().await;
    }
}

/// A zombie that a container's init forgets to reap is dead, too.
fn lives(id: &str) -> bool {
    let pid = Pid::from_raw(id.parse().unwrap()).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    test_kill_process(pid).is_ok() && !stat.contains(") Z")
}

/// Says its background process's id as a row, then waits for ever.
const WITH_GRANDCHILD: &str = r#"sleep 300 & echo "{\"property_id\":\"$!\"}"; wait"#;

/// Starts [`WITH_GRANDCHILD`] and hands the running scrape and the grandchild's id to `act`.
async fn with_grandchild<F: Future>(
    settings: ExecSettings,
    stop: &CancellationToken,
    act: impl FnOnce(ScrapeFuture, mpsc::Receiver<ScrapedRow>) -> F,
) -> F::Output {
    let (sender, mut receiver) = mpsc::channel(4);
    let source = source(SourceSettings::Exec(settings));
    let stop = stop.clone();
    let mut scraping: ScrapeFuture =
        Box::pin(async move { source.scrape(request(), sender, stop).await });
    let row = tokio::select! {
        outcome = &mut scraping => panic!("ended early: {outcome:?}"),
        row = receiver.recv() => row.unwrap(),
    };
    assert!(lives(&row.property_id));
    let output = act(scraping, receiver).await;
    eventually("the grandchild's end", || !lives(&row.property_id)).await;
    output
}

type ScrapeFuture = std::pin::Pin<Box<dyn Future<Output = ScrapeOutcome>>>;

#[tokio::test]
async fn a_grandchild_that_holds_stdout_open_is_killed_after_the_program_ends() {
    let start = Instant::now();
    let (rows, outcome) = run(r#"sleep 300 & echo "{\"property_id\":\"$!\"}""#).await;
    assert_eq!(outcome.result, Ok(()));
    assert!(start.elapsed() < Duration::from_secs(4));
    eventually("the grandchild's end", || !lives(&rows[0].property_id)).await;
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
    // The receiver must stay, or its end would stop the scrape first.
    let act = async |scraping: ScrapeFuture, _receiver| scraping.await;
    let outcome = with_grandchild(settings, &stop, act).await;
    assert_eq!(outcome.result, Err(SourceError::TimedOut { after }));
}

#[tokio::test]
async fn a_stop_kills_even_a_group_that_ignores_sigterm() {
    let stop = CancellationToken::new();
    let deaf = shell(&format!("trap '' TERM; {WITH_GRANDCHILD}"));
    let act = async |scraping: ScrapeFuture, _receiver| {
        let start = Instant::now();
        stop.cancel();
        (scraping.await.result, start.elapsed())
    };
    let (result, elapsed) = with_grandchild(deaf, &stop, act).await;
    assert_eq!(result, Err(SourceError::Stopped));
    assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
}

#[tokio::test]
async fn a_stop_lets_a_program_say_its_last_words() {
    let stop = CancellationToken::new();
    let polite = shell(&format!("trap 'echo bye >&2; exit' TERM; {WITH_GRANDCHILD}"));
    let act = async |scraping: ScrapeFuture, _receiver| {
        stop.cancel();
        scraping.await
    };
    assert_eq!(with_grandchild(polite, &stop, act).await.log, "bye\n");
}

#[tokio::test]
async fn a_dropped_scrape_kills_the_whole_group() {
    let stop = CancellationToken::new();
    let act = async |scraping: ScrapeFuture, _receiver| drop(scraping);
    with_grandchild(shell(WITH_GRANDCHILD), &stop, act).await;
}

#[tokio::test]
async fn a_dropped_receiver_stops_the_program() {
    let stop = CancellationToken::new();
    let act = async |scraping: ScrapeFuture, receiver| {
        drop::<mpsc::Receiver<ScrapedRow>>(receiver);
        scraping.await
    };
    let outcome = with_grandchild(shell(WITH_GRANDCHILD), &stop, act).await;
    assert_eq!(outcome.result, Err(SourceError::Stopped));
}
