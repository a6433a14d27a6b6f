//! What goes wrong, chosen by a seed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt, SeedableRng};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::stage::Stage;
use crate::support::proxy::Line;

#[derive(Clone, Copy, Debug)]
enum Fault {
    KillServer,
    StopServer,
    EndServer,
    Cut,
    Freeze,
    CutDatabase,
    FreezeDatabase,
}

const FAULTS: [Fault; 7] = [
    Fault::KillServer,
    Fault::StopServer,
    Fault::EndServer,
    Fault::Cut,
    Fault::Freeze,
    Fault::CutDatabase,
    Fault::FreezeDatabase,
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

/// Strikes until `stop`, each kind of fault at least once, one after the other, and leaves everything
/// mended.
pub async fn inject_faults(stage: Arc<Stage>, seed: u64, stop: CancellationToken) -> FaultCounts {
    let mut random = StdRng::seed_from_u64(seed);
    let mut struck = FaultCounts([0; FAULTS.len()]);
    let mut order: Vec<usize> = Vec::new();
    while !stop.is_cancelled() || struck.0.contains(&0) {
        if order.is_empty() {
            order.extend(0..FAULTS.len());
            order.shuffle(&mut random);
        }
        let kind = order.pop().unwrap();
        let number = random.random_range(0..2);
        let pause = Duration::from_millis(random.random_range(0..1_500));
        one(&stage, FAULTS[kind], number, pause).await;
        struck.0[kind] += 1;
        sleep(Duration::from_millis(random.random_range(100..1_000))).await;
    }
    struck
}

/// One fault, until it is mended.
async fn one(stage: &Arc<Stage>, fault: Fault, number: usize, pause: Duration) {
    match fault {
        Fault::KillServer => {
            stage.server(number).process.kill();
            sleep(pause).await;
            restart(stage, number).await;
        }
        Fault::StopServer => {
            stage.server(number).process.signal("STOP");
            sleep(pause * 2).await;
            stage.server(number).process.signal("CONT");
        }
        Fault::EndServer => {
            stage.server(number).process.signal("TERM");
            sleep(pause).await;
            restart(stage, number).await;
        }
        Fault::Cut => stage.lines[number].cut(),
        Fault::Freeze => {
            stage.lines[number].set(Line::Frozen);
            sleep(pause * 2).await;
            stage.lines[number].set(Line::Clear);
        }
        Fault::CutDatabase => stage.database_lines[number].cut(),
        Fault::FreezeDatabase => {
            stage.database_lines[number].set(Line::Frozen);
            sleep(pause).await;
            stage.clear_database_line(number);
        }
    }
}

async fn restart(stage: &Arc<Stage>, number: usize) {
    let stage = Arc::clone(stage);
    tokio::task::spawn_blocking(move || stage.restart_server(number)).await.unwrap();
}
