//! Faults in a random order that a seed repeats.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::stage::Stage;
use crate::support::proxy::Line;

/// The longest random part of an outage, in milliseconds.
const LONGEST_PAUSE: u64 = 1_500;
/// Longer than a tick or two, so that there are ticks to catch up.
const ALL_SERVERS_DOWN: Duration = Duration::from_secs(5);
const SLOW_LINE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// kill -9
    KillServer,
    KillAllServers,
    /// SIGSTOP, later SIGCONT
    SuspendServer,
    /// SIGTERM
    TerminateServer,
    KillWorker,
    SuspendWorker,
    CutLine,
    SlowLine,
    FreezeLine,
    CutDatabaseLine,
    FreezeDatabaseLine,
    KillPostgres,
}

/// The faults of a suite.
pub struct FaultPlan {
    pub faults: &'static [Fault],
    pub concurrency: Concurrency,
    /// Shortest time for which a process is suspended or a line is frozen.
    pub shortest_outage: Duration,
    /// Time between two faults, in milliseconds.
    pub interval: Range<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// The next fault begins after the previous one is repaired.
    OneAtATime,
    /// One fault per server group, worker and line at a time.
    OnePerTarget,
}

/// The part that a fault breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Everything,
    /// All servers, because one of them has to stay up.
    Servers,
    Worker(usize),
    Line(usize),
    DatabaseLine(usize),
    Postgres,
}

/// One fault with its random choices.
#[derive(Clone, Copy, Debug)]
struct Injection {
    fault: Fault,
    server: usize,
    worker: usize,
    pause: Duration,
    outage: Duration,
}

pub struct Injector {
    stage: Arc<Stage>,
    plan: FaultPlan,
    seed: u64,
    counts: Mutex<BTreeMap<Fault, u32>>,
}

impl Injector {
    pub fn new(stage: &Arc<Stage>, plan: FaultPlan, seed: u64) -> Self {
        let counts = plan.faults.iter().map(|fault| (*fault, 0)).collect();
        Self { stage: Arc::clone(stage), plan, seed, counts: Mutex::new(counts) }
    }

    /// Injects faults until `stop`, each kind at least once, and repairs them all.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut random = StdRng::seed_from_u64(self.seed);
        let (mut busy, mut active) = (BTreeSet::new(), JoinSet::new());
        let mut order: Vec<Fault> = Vec::new();
        while !stop.is_cancelled() || !self.has_injected_all() {
            while let Some(repaired) = active.try_join_next() {
                busy.remove(&repaired.unwrap());
            }
            if order.is_empty() {
                order.extend(self.plan.faults);
                order.shuffle(&mut random);
            }
            let choice = self.choose(&mut random);
            let is_free =
                |fault: &Fault| !busy.contains(&self.target(Injection { fault: *fault, ..choice }));
            if let Some(place) = order.iter().position(is_free) {
                let injection = Injection { fault: order.remove(place), ..choice };
                let (stage, target) = (Arc::clone(&self.stage), self.target(injection));
                busy.insert(target);
                active.spawn(async move {
                    injection.inject(stage).await;
                    target
                });
                self.count(injection.fault);
            }
            if self.plan.concurrency == Concurrency::OneAtATime
                && let Some(repaired) = active.join_next().await
            {
                busy.remove(&repaired.unwrap());
            }
            sleep(Duration::from_millis(random.random_range(self.plan.interval.clone()))).await;
        }
        while let Some(repaired) = active.join_next().await {
            repaired.unwrap();
        }
    }

    pub fn has_injected_all(&self) -> bool {
        self.counts.lock().unwrap().values().all(|count| *count > 0)
    }

    fn choose(&self, random: &mut StdRng) -> Injection {
        let pause = Duration::from_millis(random.random_range(0..LONGEST_PAUSE));
        Injection {
            fault: self.plan.faults[0],
            server: random.random_range(0..self.stage.servers()),
            worker: random.random_range(0..self.stage.workers().max(1)),
            pause,
            outage: self.plan.shortest_outage + pause,
        }
    }

    fn target(&self, injection: Injection) -> Target {
        match self.plan.concurrency {
            Concurrency::OneAtATime => Target::Everything,
            Concurrency::OnePerTarget => injection.target(),
        }
    }

    fn count(&self, fault: Fault) {
        *self.counts.lock().unwrap().entry(fault).or_default() += 1;
    }
}

/// Injected faults per kind.
impl fmt::Display for Injector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts.lock().unwrap();
        let counts: Vec<String> =
            counts.iter().map(|(fault, count)| format!("{fault:?} {count}")).collect();
        f.write_str(&counts.join(", "))
    }
}

impl Injection {
    fn target(self) -> Target {
        match self.fault {
            Fault::KillServer
            | Fault::KillAllServers
            | Fault::SuspendServer
            | Fault::TerminateServer => Target::Servers,
            Fault::KillWorker | Fault::SuspendWorker => Target::Worker(self.worker),
            Fault::CutLine | Fault::SlowLine | Fault::FreezeLine => Target::Line(self.server),
            Fault::CutDatabaseLine | Fault::FreezeDatabaseLine => Target::DatabaseLine(self.server),
            Fault::KillPostgres => Target::Postgres,
        }
    }

    /// Injects the fault and repairs it.
    async fn inject(self, stage: Arc<Stage>) {
        let Self { fault, server, worker, pause, outage } = self;
        match fault {
            Fault::KillServer => kill_servers(stage, server..server + 1, pause).await,
            Fault::KillAllServers => {
                let all = 0..stage.servers();
                kill_servers(stage, all, ALL_SERVERS_DOWN + pause).await;
            }
            Fault::SuspendServer => {
                stage.server(server).process.signal("STOP");
                sleep(outage).await;
                stage.server(server).process.signal("CONT");
            }
            Fault::TerminateServer => {
                stage.server(server).process.signal("TERM");
                sleep(pause).await;
                restart_servers(stage, server..server + 1).await;
            }
            Fault::KillWorker => {
                stage.worker(worker).kill();
                sleep(pause).await;
                stage.restart_worker(worker);
            }
            Fault::SuspendWorker => {
                stage.worker(worker).signal("STOP");
                sleep(outage).await;
                stage.worker(worker).signal("CONT");
            }
            Fault::CutLine => stage.line(server).cut(),
            Fault::SlowLine => {
                let slow = stage.line(server);
                slow.set(Line::Slow(pause / 5));
                sleep(SLOW_LINE).await;
                slow.set(Line::Clear);
            }
            Fault::FreezeLine => {
                stage.line(server).set(Line::Frozen);
                sleep(outage).await;
                stage.line(server).set(Line::Clear);
            }
            Fault::CutDatabaseLine => stage.database_line(server).cut(),
            Fault::FreezeDatabaseLine => {
                stage.database_line(server).freeze();
                sleep(outage).await;
                stage.database_line(server).restore();
            }
            Fault::KillPostgres => {
                stage.postgres().kill();
                // A server that started now would give up.
                stage.postgres().wait_until_ready().await;
            }
        }
    }
}

async fn kill_servers(stage: Arc<Stage>, numbers: Range<usize>, outage: Duration) {
    for number in numbers.clone() {
        stage.server(number).process.kill();
    }
    sleep(outage).await;
    restart_servers(stage, numbers).await;
}

async fn restart_servers(stage: Arc<Stage>, numbers: Range<usize>) {
    let restart = move || numbers.for_each(|number| stage.restart_server(number));
    tokio::task::spawn_blocking(restart).await.unwrap();
}
