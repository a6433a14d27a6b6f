//! Three servers on one Postgres and jobs that are due every three seconds, while servers and Postgres are
//! killed and jobs are edited, paused, resumed and triggered. The ledger has to hold exactly the computed
//! ticks, each decided once, and every fired tick has one run.

mod ledger;
mod users;

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::faults::Fault::{KillAllServers, KillPostgres, KillServer, SuspendServer};
use crate::faults::{Concurrency, FaultPlan, Injector};
use crate::options;
use crate::postgres::Postgres;
use crate::stage::Stage;
use crate::support::eventually;

/// Seconds between two ticks of a job.
const TICK: i64 = 3;
const SECONDS: u64 = 25;
const SERVERS: usize = 3;
const FAULTS: FaultPlan = FaultPlan {
    faults: &[KillServer, KillAllServers, SuspendServer, KillPostgres],
    concurrency: Concurrency::OneAtATime,
    shortest_outage: Duration::from_secs(1),
    interval: 500..2_500,
};
/// Half of the runs take two seconds: some overlap the next tick, and there are more than the servers can
/// execute at once.
const SETTINGS: &str = r#"
lease = "4s"
heartbeat = "1s"
max_concurrent_runs = 8

[sources.quick]
kind = "sample"
listings_per_location = 1

[sources.two_seconds]
kind = "exec"
command = ["sh", "-c", "sleep 2; echo '{\"property_id\": \"1\"}'"]
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
async fn every_tick_is_decided_exactly_once() {
    let seed = options::seed("WINDROW_ACCOUNTING_SEED");
    let length = Duration::from_secs(options::number("WINDROW_ACCOUNTING_SECONDS", SECONDS));
    let postgres = Postgres::start().await;
    let pool = PgPool::connect_lazy(&postgres.url).unwrap();
    let stage = Stage::start(SETTINGS, &vec![postgres.url.clone(); SERVERS]).await;
    let stage = Arc::new(stage.with_postgres(postgres));
    let jobs = users::create_jobs(&stage).await;

    let stop = CancellationToken::new();
    let users = tokio::spawn(users::work(Arc::clone(&stage), jobs.clone(), seed, stop.clone()));
    let injector = Injector::new(&stage, FAULTS, seed);
    let stop_after_effects = async {
        sleep(length).await;
        eventually("faults and users cause different decisions", || ledger::check_variety(&pool))
            .await;
        stop.cancel();
    };
    tokio::join!(injector.run(&stop), stop_after_effects);
    let actions = users.await.unwrap();
    users::deactivate_all(&stage, &jobs).await;

    let figures = ledger::check(&pool, &jobs, actions.triggers).await;
    eprintln!("{injector}\n{actions}\n{figures}");
    stage.stop().await;
}
