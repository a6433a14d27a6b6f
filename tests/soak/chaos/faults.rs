//! What goes wrong, chosen by a seed.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::LEASE;
use super::stage::Stage;
use crate::support::proxy::Line;

#[derive(Clone, Copy, Debug)]
enum Fault {
    KillServer,
    StopServer,
    KillWorker,
    StopWorker,
    Cut,
    Slow,
    Freeze,
}

/// Where a fault strikes. One at a time, and of the servers one goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Servers,
    Worker(usize),
    Line(usize),
}

const FAULTS: [Fault; 7] = [
    Fault::KillServer,
    Fault::StopServer,
    Fault::KillWorker,
    Fault::StopWorker,
    Fault::Cut,
    Fault::Slow,
    Fault::Freeze,
];

/// How often what struck.
pub struct FaultCounts([u32; FAULTS.len()]);

impl fmt::Display for FaultCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<String> =
            FAULTS.iter().zip(self.0).map(|(fault, count)| format!("{fault:?} {count}")).collect();
        f.write_str(&told.join(", "))
    }
}

/// Strikes for so long, each kind of fault at least once, and leaves everything mended.
pub async fn inject_faults(stage: &Arc<Stage>, seed: u64, length: Duration) -> FaultCounts {
    let mut random = StdRng::seed_from_u64(seed);
    let mut struck = FaultCounts([0; FAULTS.len()]);
    let mut busy = BTreeSet::new();
    let mut at_work = JoinSet::new();
    let mut order: Vec<usize> = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < length || struck.0.contains(&0) {
        while let Some(mended) = at_work.try_join_next() {
            busy.remove(&mended.unwrap());
        }
        if order.is_empty() {
            order.extend(0..FAULTS.len());
            order.shuffle(&mut random);
        }
        let (number, which) = (random.random_range(0..2), random.random_range(0..stage.workers()));
        let pause = Duration::from_millis(random.random_range(0..1_500));
        let ready =
            order.iter().position(|kind| !busy.contains(&target(FAULTS[*kind], number, which)));
        if let Some(place) = ready {
            let kind = order.remove(place);
            let target = target(FAULTS[kind], number, which);
            busy.insert(target);
            struck.0[kind] += 1;
            let stage = Arc::clone(stage);
            at_work.spawn(async move {
                one(stage, FAULTS[kind], number, which, pause).await;
                target
            });
        }
        sleep(Duration::from_millis(random.random_range(200..1_200))).await;
    }
    while let Some(mended) = at_work.join_next().await {
        mended.unwrap();
    }
    struck
}

fn target(fault: Fault, number: usize, which: usize) -> Target {
    match fault {
        Fault::KillServer | Fault::StopServer => Target::Servers,
        Fault::KillWorker | Fault::StopWorker => Target::Worker(which),
        Fault::Cut | Fault::Slow | Fault::Freeze => Target::Line(number),
    }
}

/// One fault, until it is mended.
async fn one(stage: Arc<Stage>, fault: Fault, number: usize, which: usize, pause: Duration) {
    let longer_than_the_lease = LEASE + Duration::from_millis(500) + pause;
    match fault {
        Fault::KillServer => {
            stage.server(number).process.kill();
            sleep(pause).await;
            let start = move || stage.restart_server(number);
            tokio::task::spawn_blocking(start).await.unwrap();
        }
        Fault::StopServer => {
            stage.server(number).process.signal("STOP");
            sleep(longer_than_the_lease).await;
            stage.server(number).process.signal("CONT");
        }
        Fault::KillWorker => {
            stage.worker(which).kill();
            sleep(pause).await;
            stage.restart_worker(which);
        }
        Fault::StopWorker => {
            stage.worker(which).signal("STOP");
            sleep(longer_than_the_lease).await;
            stage.worker(which).signal("CONT");
        }
        Fault::Cut => stage.lines[number].cut(),
        Fault::Slow => {
            stage.lines[number].set(Line::Slow(pause / 5));
            sleep(Duration::from_secs(2)).await;
            stage.lines[number].set(Line::Clear);
        }
        Fault::Freeze => {
            stage.lines[number].set(Line::Frozen);
            sleep(longer_than_the_lease).await;
            stage.lines[number].set(Line::Clear);
        }
    }
}
