//! The pages that a run reads and writes in its life, which no machine changes.

use std::sync::{Arc, LazyLock};

use windrow_server::watch::Hub;

use crate::statements::{SUBSCRIBER, add_ended_runs, explaining, live, take};
use crate::support::{World, create};

/// Runs that live at the same time.
const RUNS: usize = 50;
/// Some more than a run needs: 104 to 118.
const MOST: usize = 150;

/// The pages that a statement reads or writes: the first node of its plan counts those of all others.
fn pages(plan: &str) -> usize {
    let line = plan.split("\\n").flat_map(str::lines).find(|line| line.contains("Buffers: shared"));
    let words = line.into_iter().flat_map(str::split_whitespace);
    let count = |word: &str| {
        let (what, count) = word.split_once('=')?;
        let digits = count.split(|c: char| !c.is_ascii_digit()).next()?;
        matches!(what, "hit" | "read").then(|| digits.parse::<usize>().unwrap())
    };
    words.filter_map(count).sum()
}

/// Triggered, leased, reported about by itself, and finished.
#[tokio::test]
async fn a_run_touches_few_pages_however_many_runs_have_ended() {
    let world = World::new().await;
    create(&world.app().await, "job").await;
    let explaining = explaining(&world).await;
    let app = explaining.app_with(Arc::new(Hub::start(world.pool.clone()).await.unwrap()));
    LazyLock::force(&SUBSCRIBER);
    live(&app, 3).await;
    for ended in [0, 100_000] {
        if ended > 0 {
            add_ended_runs(&world, ended).await;
        }
        sqlx::query("vacuum analyze").execute(&world.pool).await.unwrap();
        take("");
        live(&app, RUNS).await;
        let plans = take("sqlx::postgres::notice");
        let all: usize = plans.iter().map(|plan| pages(plan)).sum();
        assert!(all / RUNS <= MOST, "{} pages for each run with {ended} ended runs", all / RUNS);
        assert!(all / RUNS > 20, "the plans have no pages: {plans:#?}");
    }
}
