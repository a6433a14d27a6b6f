//! What goes wrong, chosen by a seed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};

use super::stage::{SERVERS, Stage};

#[derive(Clone, Copy, Debug)]
enum Fault {
    KillServer,
    /// For longer than a tick or two, so that there is something to catch up.
    KillAllServers,
    StopServer,
    KillPostgres,
}

const FAULTS: [Fault; 4] =
    [Fault::KillServer, Fault::KillAllServers, Fault::StopServer, Fault::KillPostgres];

/// How often what struck.
#[derive(Default)]
pub struct FaultCounts([u32; FAULTS.len()]);

impl fmt::Display for FaultCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = FAULTS.iter().zip(self.0).map(|(fault, count)| format!("{fault:?} {count}"));
        f.write_str(&told.collect::<Vec<_>>().join(", "))
    }
}

/// Strikes for so long, each kind at least once, one fault at a time, and leaves everything mended.
pub async fn inject_faults(stage: &Arc<Stage>, seed: u64, length: Duration) -> FaultCounts {
    let mut random = StdRng::seed_from_u64(seed);
    let mut struck = FaultCounts::default();
    let begin = Instant::now();
    while begin.elapsed() < length || struck.0.contains(&0) {
        let missing = struck.0.iter().position(|count| *count == 0);
        let kind = missing.unwrap_or_else(|| random.random_range(0..FAULTS.len()));
        let which = random.random_range(0..SERVERS);
        let pause = Duration::from_millis(random.random_range(0..1_500));
        struck.0[kind] += 1;
        one(stage, FAULTS[kind], which, pause).await;
        sleep(Duration::from_millis(random.random_range(500..2_500))).await;
    }
    struck
}

/// One fault, until it is mended.
async fn one(stage: &Arc<Stage>, fault: Fault, which: usize, pause: Duration) {
    match fault {
        Fault::KillServer => {
            kill_and_restart(stage, vec![which], pause).await;
        }
        Fault::KillAllServers => {
            let outage = Duration::from_secs(5) + pause;
            kill_and_restart(stage, (0..SERVERS).collect(), outage).await;
        }
        Fault::StopServer => {
            stage.server(which).process.signal("STOP");
            sleep(Duration::from_secs(1) + pause).await;
            stage.server(which).process.signal("CONT");
        }
        Fault::KillPostgres => {
            stage.kill_postgres();
            // A server that was started now would give up.
            stage.postgres_is_back().await;
        }
    }
}

async fn kill_and_restart(stage: &Arc<Stage>, which: Vec<usize>, pause: Duration) {
    for number in &which {
        stage.server(*number).process.kill();
    }
    sleep(pause).await;
    let stage = Arc::clone(stage);
    let restart = move || which.into_iter().for_each(|number| stage.restart_server(number));
    tokio::task::spawn_blocking(restart).await.unwrap();
}
