//! Invariants that hold after any faults, as queries over the tables. The events are the evidence.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{LEASE, LOCATIONS, ROWS};

/// An invariant with the query that checks it.
struct Promise {
    text: &'static str,
    /// Returns one line of text per violation.
    violations: &'static str,
    /// Statements that violate the promise in correct tables. The query has to notice each of them.
    violated_by: &'static [&'static str],
}

const PROMISES: [Promise; 9] = [
    Promise {
        text: "a run has exactly one final event, its last, and no revision is missing",
        violations:
            "select job_id || ': ' || string_agg(status, ' ' order by revision) from run_event
         group by job_id
         having count(*) filter (where status in ('completed', 'failed', 'cancelled')) <> 1
             or max(revision) filter (where status in ('completed', 'failed', 'cancelled'))
                 <> max(revision)
             or min(revision) <> 1 or max(revision) <> count(*)",
        violated_by: &[
            "update run_event set status = 'completed' where revision = 2",
            "insert into run_event (xid, job_id, revision, status, failed_locations, run)
             select xid, job_id, revision + 1, 'running', e.failed_locations, e.run
             from scraping_job join run_event e using (job_id, revision)",
            "delete from run_event where revision = 2",
        ],
    },
    Promise {
        text: "a run equals its last event",
        violations:
            "select r.job_id from scraping_job r left join run_event e using (job_id, revision)
         where e.status is distinct from r.status
             or coalesce((e.run ->> 'attempt')::int, 0) is distinct from r.attempt",
        violated_by: &[
            "update scraping_job set revision = revision - 1",
            "update scraping_job set attempt = attempt + 1",
        ],
    },
    Promise {
        text: "the queue has the runs that have not ended, in their state",
        violations: "select coalesce(r.job_id, u.job_id)
         from (select * from scraping_job where completed_at is null) r
         full join unfinished_run u using (job_id)
         where (u.status, u.worker_id) is distinct from (r.status, r.worker_id)",
        violated_by: &["insert into unfinished_run (
                 queue, source, rank_at, job_id, created_at, origin, queued, status, available_at)
             select scheduled_job_id, source, rank_at, job_id, created_at, origin, queued, 'pending',
                 available_at
             from scraping_job"],
    },
    Promise {
        // The insertion of a row and the event that counts it are one transaction.
        text: "a row is saved by the attempt that read it, while the attempt has its lease",
        violations: "select p.property_id || ' of attempt ' || (p.body ->> 'attempt')
             || ' in an event of attempt ' || coalesce(e.run ->> 'attempt', 'none')
         from property p left join run_event e on e.job_id = p.first_job_id
             and mod(e.xid::text::numeric, 4294967296) = p.xmin::text::numeric
         where coalesce((e.run ->> 'attempt')::int, 0) is distinct from (p.body ->> 'attempt')::numeric::int",
        violated_by: &[
            "update run_event set run = jsonb_set(run, '{attempt}', '9')",
            // Written without an event.
            "update property set body = body",
        ],
    },
    Promise {
        text: "an earlier attempt cannot end a later one",
        violations: "select job_id || ': ' || error || ' in attempt ' || attempt from (
             select distinct on (job_id, run ->> 'error_message') job_id,
                 run ->> 'error_message' as error, run ->> 'attempt' as attempt
             from run_event where run ->> 'error_message' like 'late %'
             order by job_id, run ->> 'error_message', revision
         ) first where error <> 'late ' || attempt",
        violated_by: &[
            "update run_event set run = run || '{\"error_message\": \"late 1\", \"attempt\": 2}'",
        ],
    },
    Promise {
        text: "the log of an attempt ends before the log of the next one begins",
        violations: "select job_id || ' line ' || number from (
             select job_id, number, attempt,
                 max(attempt) over (partition by job_id order by number) as latest
             from scraping_job_log
         ) line where attempt < latest",
        violated_by: &["update scraping_job_log set attempt = 9 where number = 1"],
    },
    Promise {
        text: "the counts of a run equal its saved rows",
        violations: "select r.job_id from scraping_job r where r.properties_saved <>
             (select count(*) from property p where p.first_job_id = r.job_id)
             or r.properties_saved + r.properties_skipped <>
             (select count(*) from run_property p where p.job_id = r.job_id)",
        violated_by: &[
            "update property set first_job_id = 'another' where property_id like '% 30'",
            "delete from run_property where property_id like '% 30'",
            "update scraping_job set properties_saved = 0, properties_scraped = 0",
        ],
    },
    Promise {
        text: "a completed run has every row of its locations",
        violations: "select r.job_id from scraping_job r where r.status = 'completed'
             and r.failed_locations = '[]' and $1 <> (select count(*) from property p
                 where p.first_job_id = r.job_id and p.property_id not like '% late %')",
        violated_by: &["delete from property where property_id like '% 30'"],
    },
    Promise {
        text: "run_count is the number of ended runs",
        violations: "select h.scheduled_job_id from scheduled_job_history h where h.run_count <>
             (select count(*) from scraping_job r where r.scheduled_job_id = h.scheduled_job_id
                  and r.completed_at is not null)",
        violated_by: &["update scheduled_job_history set run_count = run_count + 1"],
    },
];

/// Polls until `stop` for the longest time that a run is running without a heartbeat, and checks that it
/// stays below three leases: a server that has just returned after an outage leaves each worker another lease,
/// and the third is for the passes of the two servers.
pub async fn longest_silence(pool: PgPool, stop: CancellationToken) -> Duration {
    let mut longest = Duration::ZERO;
    while !stop.is_cancelled() {
        let silence: Option<f64> = sqlx::query_scalar(
            "select max(extract(epoch from clock_timestamp() - lease_expires_at)
                 + lease_ms / 1000.0)::float8
             from scraping_job where status = 'running'",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        longest = longest.max(Duration::from_secs_f64(silence.unwrap_or_default().max(0.0)));
        sleep(Duration::from_millis(100)).await;
    }
    assert!(longest < 3 * LEASE, "a run was running for {longest:?} without a heartbeat");
    longest
}

pub async fn check(pool: &PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let mut violated = BTreeMap::new();
    for promise in &PROMISES {
        let violations = promise.violations(&mut conn).await;
        if !violations.is_empty() {
            violated.insert(promise.text, violations);
        }
    }
    assert!(violated.is_empty(), "violated promises: {violated:#?}");
}

/// Checks that each query notices every violation of its promise. Leaves the tables unchanged.
pub async fn check_queries(pool: &PgPool) {
    for promise in &PROMISES {
        for statement in promise.violated_by {
            let mut tx = pool.begin().await.unwrap();
            let changed = sqlx::query(*statement).execute(&mut *tx).await.unwrap().rows_affected();
            assert!(changed > 0, "{statement}: changes nothing");
            let violations = promise.violations(&mut tx).await;
            assert!(!violations.is_empty(), "not noticed: {}: {statement}", promise.text);
            tx.rollback().await.unwrap();
        }
    }
}

impl Promise {
    async fn violations(&self, conn: &mut PgConnection) -> Vec<String> {
        let mut query = sqlx::query_scalar(self.violations);
        if self.violations.contains("$1") {
            query = query.bind(i64::from(ROWS) * i64::try_from(LOCATIONS.len()).unwrap());
        }
        query.fetch_all(conn).await.unwrap()
    }
}

/// Runs, attempts and rows by final status.
pub async fn figures(pool: &PgPool) -> String {
    let ended: Vec<(String, i64, i64, i64)> = sqlx::query_as(
        "select status, count(*), sum(attempt)::bigint, sum(properties_saved)::bigint
         from scraping_job group by status order by status",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let figures = ended.iter().map(|(status, runs, attempts, rows)| {
        format!("{runs} {status} in {attempts} attempts with {rows} rows")
    });
    figures.collect::<Vec<_>>().join("; ")
}

/// Attempts that ended with their lease. The only other way back to pending is a stale failure report.
pub async fn lost_leases(pool: &PgPool) -> i64 {
    sqlx::query_scalar(
        "select count(*) from run_event where status = 'pending' and revision > 1
             and coalesce(run ->> 'error_message', '') not like 'late %'",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}
