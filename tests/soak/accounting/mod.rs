//! Three servers on one Postgres, jobs due every three seconds, and everything that may go wrong: servers
//! and Postgres are killed, jobs are edited, paused, resumed and triggered. The ledger has to be the
//! computed set of ticks, each decided once, and each that fired has one run.
//!
//! `WINDROW_ACCOUNTING_SECONDS` makes it longer, `WINDROW_ACCOUNTING_SEED` repeats the faults of another
//! run.

mod faults;
mod ledger;
mod stage;
mod users;

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use self::stage::Stage;

/// Between two ticks of a job.
const TICK: i64 = 3;
const SECONDS: u64 = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
async fn every_tick_is_decided_once_whatever_happens() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("WINDROW_ACCOUNTING_SEED").unwrap_or_else(rand::random);
    let length = Duration::from_secs(number("WINDROW_ACCOUNTING_SECONDS").unwrap_or(SECONDS));
    eprintln!("WINDROW_ACCOUNTING_SEED={seed}");
    let stage = Arc::new(Stage::new().await);
    let jobs = users::create_jobs(&stage).await;

    let no_more = CancellationToken::new();
    let users = tokio::spawn(users::work(Arc::clone(&stage), jobs.clone(), seed, no_more.clone()));
    let struck = faults::inject_faults(&stage, seed, length).await;
    no_more.cancel();
    let done = users.await.unwrap();
    users::end(&stage, &jobs).await;

    let pool = PgPool::connect(&stage.database_url).await.unwrap();
    let figures = ledger::check(&pool, &jobs, done.triggers).await;
    eprintln!("{struck}\n{done}\n{figures}");
    stage.stop().await;
}
