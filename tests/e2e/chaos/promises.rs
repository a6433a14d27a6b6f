//! What has to hold whatever happened, read from the tables: the events are the witnesses.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::PgPool;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{LEASE, LOCATIONS, ROWS};
use crate::support::PATIENCE;

/// What is wrong, and the query that finds it: one line of text for each case.
const WRONG: [(&str, &str); 8] = [
    (
        "a run has exactly one final event, its last, and no revision is missing",
        "select job_id || ': ' || string_agg(status, ' ' order by revision) from run_event
         group by job_id
         having count(*) filter (where status in ('completed', 'failed', 'cancelled')) <> 1
             or max(revision) filter (where status in ('completed', 'failed', 'cancelled'))
                 <> max(revision)
             or min(revision) <> 1 or max(revision) <> count(*)",
    ),
    (
        "a run is what its last event says",
        "select r.job_id from scraping_job r left join run_event e using (job_id, revision)
         where e.status is distinct from r.status
             or (e.run ->> 'attempt')::int is distinct from r.attempt",
    ),
    (
        // The insertion of a row and the event that counts it are one transaction.
        "a row is saved by the attempt that read it, while that has its lease",
        "select p.property_id || ' of attempt ' || (p.body ->> 'attempt')
             || ' in an event of attempt ' || coalesce(e.run ->> 'attempt', 'none')
         from property p left join run_event e on e.job_id = p.first_job_id
             and mod(e.xid::text::numeric, 4294967296) = p.xmin::text::numeric
         where (e.run ->> 'attempt')::int is distinct from (p.body ->> 'attempt')::numeric::int",
    ),
    (
        "no later attempt ends by what an earlier one says",
        "select job_id || ': ' || error || ' in attempt ' || attempt from (
             select distinct on (job_id, run ->> 'error_message') job_id,
                 run ->> 'error_message' as error, run ->> 'attempt' as attempt
             from run_event where run ->> 'error_message' like 'late %'
             order by job_id, run ->> 'error_message', revision
         ) first where error <> 'late ' || attempt",
    ),
    (
        "the log of an attempt ends before the next one's begins",
        "select job_id || ' line ' || number from (
             select job_id, number, attempt,
                 max(attempt) over (partition by job_id order by number) as latest
             from scraping_job_log
         ) line where attempt < latest",
    ),
    (
        "counts are those of the saved rows",
        "select r.job_id from scraping_job r where r.properties_saved <>
             (select count(*) from property p where p.first_job_id = r.job_id)
             or r.properties_saved + r.properties_skipped <>
             (select count(*) from run_property p where p.job_id = r.job_id)",
    ),
    (
        "a completed run has all rows of its locations",
        "select r.job_id from scraping_job r where r.status = 'completed'
             and r.failed_locations = '[]' and $1 <> (select count(*) from property p
                 where p.first_job_id = r.job_id and p.property_id not like '% late %')",
    ),
    (
        "run_count is the number of ended runs",
        "select h.scheduled_job_id from scheduled_job_history h where h.run_count <>
             (select count(*) from scraping_job r where r.scheduled_job_id = h.scheduled_job_id
                  and r.completed_at is not null)",
    ),
];

/// Waits until every run has ended.
pub async fn wait_for_the_end(pool: &PgPool) {
    let begin = Instant::now();
    loop {
        let left: Vec<String> = sqlx::query_scalar(
            "select job_id || ' ' || status from scraping_job where completed_at is null",
        )
        .fetch_all(pool)
        .await
        .unwrap();
        if left.is_empty() {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "stuck: {left:#?}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// Looks until `stop` how long any run stays running after its lease is over.
pub async fn longest_overdue(pool: PgPool, stop: CancellationToken) -> Duration {
    let mut longest = Duration::ZERO;
    while !stop.is_cancelled() {
        let overdue: Option<f64> = sqlx::query_scalar(
            "select max(extract(epoch from clock_timestamp() - lease_expires_at))::float8
             from scraping_job where status = 'running'",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        longest = longest.max(Duration::from_secs_f64(overdue.unwrap_or_default().max(0.0)));
        sleep(Duration::from_millis(100)).await;
    }
    assert!(longest < LEASE, "a run was running for {longest:?} after its lease had ended");
    longest
}

pub async fn check(pool: &PgPool) {
    let mut wrong = BTreeMap::new();
    for (promise, query) in WRONG {
        let mut query = sqlx::query_scalar(query);
        if promise.contains("all rows") {
            query = query.bind(i64::from(ROWS) * i64::try_from(LOCATIONS.len()).unwrap());
        }
        let cases: Vec<String> = query.fetch_all(pool).await.unwrap();
        if !cases.is_empty() {
            wrong.insert(promise, cases);
        }
    }
    assert!(wrong.is_empty(), "promises that did not hold, and where: {wrong:#?}");
}

/// What came of it all, in words.
pub async fn figures(pool: &PgPool) -> String {
    let ended: Vec<(String, i64, i64, i64)> = sqlx::query_as(
        "select status, count(*), sum(attempt)::bigint, sum(properties_saved)::bigint
         from scraping_job group by status order by status",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let told = ended.iter().map(|(status, runs, attempts, rows)| {
        format!("{runs} {status} in {attempts} attempts with {rows} rows")
    });
    told.collect::<Vec<_>>().join("; ")
}

/// Attempts that ended because their lease did.
pub async fn lost_leases(pool: &PgPool) -> i64 {
    sqlx::query_scalar(
        "select count(*) from scraping_job_log where text like 'The attempt is lost: %'",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}
