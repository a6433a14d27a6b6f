//! Processor time of the server and of Postgres, which runs on this machine.

use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::{Instant, sleep};

use crate::program::Program;

/// Clock ticks a second in `/proc`, the same on all Linux systems.
const CLOCK_TICKS: u64 = 100;
/// Fields of `/proc/PID/stat` behind the name of the program: user and system time of children that have ended.
const ENDED: std::ops::Range<usize> = 13..15;

/// A server and the Postgres that it uses.
pub(crate) struct Processes {
    server: u32,
    /// Parent of all processes of Postgres.
    postgres: u32,
}

impl Processes {
    pub(crate) async fn of(server: &Program, conn: &mut PgConnection) -> Self {
        let backend = "select pg_backend_pid()";
        let backend: i32 = sqlx::query_scalar(backend).fetch_one(conn).await.unwrap();
        let parent = stat(backend.try_into().unwrap()).get(1).unwrap().parse().unwrap();
        Self { server: server.child.id(), postgres: parent }
    }

    /// Waits this long, and returns the shares of one core that the server and Postgres used meanwhile.
    pub(crate) async fn shares(&self, length: Duration) -> [f64; 2] {
        let (begin, before) = (Instant::now(), self.spent());
        sleep(length).await;
        let (elapsed, after) = (begin.elapsed(), self.spent());
        let [server, postgres] = after;
        let [server_before, postgres_before] = before;
        [server.saturating_sub(server_before), postgres.saturating_sub(postgres_before)]
            .map(|spent| spent.as_secs_f64() / elapsed.as_secs_f64())
    }

    fn spent(&self) -> [Duration; 2] {
        let children = format!("/proc/{0}/task/{0}/children", self.postgres);
        let children = std::fs::read_to_string(children).unwrap();
        let children = children.split_whitespace().map(|pid| pid.parse().unwrap());
        let postgres: Duration = children.chain([self.postgres]).map(running).sum();
        [running(self.server), postgres + ended(self.postgres)]
    }
}

/// Time of the threads of a process; none if it has ended meanwhile.
fn running(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let nanos = threads.filter_map(|thread| {
        // Its first number is nanoseconds on a processor.
        let stat = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// Time of the children of a process that have ended, as workers of autovacuum do.
fn ended(pid: u32) -> Duration {
    let fields = stat(pid);
    let ticks = fields.get(ENDED).unwrap().iter().map(|field| field.parse::<u64>().unwrap());
    Duration::from_millis(ticks.sum::<u64>() * 1_000 / CLOCK_TICKS)
}

/// Fields of `/proc/PID/stat` behind the name of the program: state, parent, …
fn stat(pid: u32) -> Vec<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    let stat = stat.expect("Postgres runs on another machine");
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').map(str::to_owned).collect()
}
