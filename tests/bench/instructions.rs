//! Instructions that the server executes for a call, counted by Callgrind: unlike times, they hardly depend on the
//! machine and on what else it does. `.dev/bench --bench instructions` runs it; the server is some fifty times slower
//! meanwhile. Postgres is not counted.
//!
//! It also verifies that each run was created and ended.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by a panic")]
#![expect(clippy::print_stdout, reason = "what it measured")]

#[path = "../../server/tests/support/database.rs"]
mod database;
#[path = "noop.rs"]
mod noop;
#[path = "program.rs"]
#[expect(dead_code, reason = "other benchmarks measure a server that is not simulated")]
mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::{join_all, try_join_all};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};
use windrow::v1 as proto;
use windrow::v1::scraping_job_service_client::ScrapingJobServiceClient;
use windrow::v1::worker_service_client::WorkerServiceClient;

use self::program::Program;

/// Calls of each kind, one after another.
const ONE_BY_ONE: usize = 200;
/// Calls at the same time, in several rounds.
const AT_ONCE: usize = 50;
const ROUNDS: usize = 20;
/// Calls before anything is counted: they open connections and prepare statements.
const WARM_UP: usize = 50;

/// Numbers the workers.
static LEASES: AtomicU64 = AtomicU64::new(0);

#[tokio::main]
async fn main() {
    let url = database::new_database().await;
    let mut counted = Counted::start(&url);
    let endpoint = Endpoint::from_shared(format!("http://{}", counted.server.address)).unwrap();
    let calls = Calls { channel: endpoint.connect().await.unwrap() };
    noop::create_job(calls.channel.clone(), "job").await;
    for _ in 0..WARM_UP {
        calls.trigger(1).await;
    }
    calls.finish(calls.lease(WARM_UP).await).await;

    println!("instructions per call, in thousands");
    let trigger = counted.of(ONE_BY_ONE, async || {
        for _ in 0..ONE_BY_ONE {
            calls.trigger(1).await;
        }
    });
    print("trigger, one by one", trigger.await);
    let trigger = counted.of(AT_ONCE * ROUNDS, async || {
        for _ in 0..ROUNDS {
            calls.trigger(AT_ONCE).await;
        }
    });
    print("trigger, 50 at once", trigger.await);
    let mut leases = Vec::new();
    let all = ONE_BY_ONE + AT_ONCE * ROUNDS;
    let lease = counted.of(all, async || {
        for _ in 0..all / AT_ONCE {
            leases.extend(calls.lease(AT_ONCE).await);
        }
    });
    print("run leased, 50 per call", lease.await);
    assert_eq!(leases.len(), all, "each acknowledged trigger has one run");
    let rest = leases.split_off(ONE_BY_ONE);
    let finish = counted.of(ONE_BY_ONE, async || {
        for lease in leases {
            calls.finish(vec![lease]).await;
        }
    });
    print("run finished, one by one", finish.await);
    let finish = counted.of(rest.len(), async || {
        for lot in rest.chunks(AT_ONCE) {
            calls.finish(lot.to_vec()).await;
        }
    });
    print("run finished, 50 at once", finish.await);
}

fn print(what: &str, instructions: u64) {
    assert!(instructions > 0, "nothing was counted");
    println!("{what:<26} {:>8}", instructions / 1_000);
}

/// A server whose instructions are counted while we say so.
struct Counted {
    server: Program,
    dir: TempDir,
    dumps: usize,
}

impl Counted {
    fn start(url: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut valgrind = Command::new("valgrind");
        valgrind
            .args(["--tool=callgrind", "--instr-atstart=no"])
            .arg(format!("--callgrind-out-file={}", dir.path().join("out").display()))
            .arg(program::program());
        Self { server: Program::run(valgrind, url, noop::SETTINGS), dir, dumps: 0 }
    }

    /// The instructions of each of `count` calls.
    async fn of(&mut self, count: usize, calls: impl AsyncFnOnce()) -> u64 {
        self.control(&["--instr=on"]);
        calls().await;
        self.control(&["--instr=off"]);
        self.control(&["--dump"]);
        self.dumps += 1;
        let total = total(&self.dir.path().join(format!("out.{}", self.dumps)));
        total / u64::try_from(count).unwrap()
    }

    fn control(&self, what: &[&str]) {
        let pid = self.server.child.id().to_string();
        let output = Command::new("callgrind_control").args(what).arg(pid).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// The instructions of a dump: those of all threads, each of which may have a file.
fn total(dump: &Path) -> u64 {
    let name = dump.file_name().unwrap().to_str().unwrap();
    let files = fs::read_dir(dump.parent().unwrap()).unwrap().map(|file| file.unwrap().path());
    let of_dump = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().starts_with(name);
    let files: Vec<PathBuf> = files.filter(of_dump).collect();
    assert!(!files.is_empty(), "callgrind has written no {}", dump.display());
    let total = |file: &PathBuf| {
        let text = fs::read_to_string(file).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("totals: "));
        line.expect("a dump has a total").trim().parse::<u64>().unwrap()
    };
    files.iter().map(total).sum()
}

struct Calls {
    channel: Channel,
}

impl Calls {
    async fn trigger(&self, count: usize) {
        let client = ScrapingJobServiceClient::new(self.channel.clone());
        let trigger = async || {
            let request =
                proto::TriggerJobRequest { job_id: "job".to_owned(), ..Default::default() };
            client.clone().trigger_job(request).await
        };
        try_join_all((0..count).map(|_| trigger())).await.unwrap();
    }

    async fn lease(&self, capacity: usize) -> Vec<proto::Lease> {
        let request = proto::LeaseScrapingJobsRequest {
            // Another one for each call, so that no run counts as lost.
            worker_id: format!("worker-{}", LEASES.fetch_add(1, Ordering::Relaxed)),
            sources: vec!["noop".to_owned()],
            capacity: i32::try_from(capacity).unwrap(),
            ..Default::default()
        };
        let mut client = WorkerServiceClient::new(self.channel.clone());
        client.lease_scraping_jobs(request).await.unwrap().into_inner().leases
    }

    async fn finish(&self, leases: Vec<proto::Lease>) {
        let client = WorkerServiceClient::new(self.channel.clone());
        join_all(leases.into_iter().map(|lease| noop::finish(&client, lease))).await;
    }
}
