//! Compares the tick ledger with the ticks that this file computes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgPool};

use super::TICK;

/// A server skips a job that it cannot decide for a minute. That must not happen here, so every tick is
/// decided within this time.
const LONGEST_DELAY: f64 = 30.0;

#[derive(FromRow)]
struct Row {
    tick_at: DateTime<Utc>,
    until: DateTime<Utc>,
    count: i64,
    decision: String,
    job_id: Option<String>,
    revision: i64,
    lateness: f64,
}

#[derive(FromRow)]
struct Revision {
    number: i64,
    valid_from: DateTime<Utc>,
    status: String,
}

/// Checks every job, and returns figures.
pub async fn check(pool: &PgPool, jobs: &[String], triggers: i64) -> String {
    let mut decided: BTreeMap<String, i64> = BTreeMap::new();
    let mut lateness = Vec::new();
    for id in jobs {
        let rows = rows(pool, id).await;
        assert_ticks_equal_the_computed_ones(pool, id, &rows).await;
        assert_fired_ticks_equal_the_runs(pool, id, &rows).await;
        assert_decided_by_the_revision_of_that_time(pool, id, &rows).await;
        for row in &rows {
            *decided.entry(row.decision.clone()).or_default() += row.count;
            if row.decision != "paused" {
                let delay = row.lateness;
                assert!(delay < LONGEST_DELAY, "a tick of {id} was decided after {delay} s");
            }
            if row.decision == "fired" {
                lateness.push(row.lateness);
            }
        }
    }
    let triggered: i64 =
        sqlx::query_scalar("select count(*) from scraping_job where origin = 'triggered'")
            .fetch_one(pool)
            .await
            .unwrap();
    assert_eq!(triggered, triggers, "one run per trigger, however often the request was sent");
    figures(&decided, lateness)
}

/// The ledger has most kinds of decisions, not only fired ticks.
pub async fn check_variety(pool: &PgPool) -> Result<(), String> {
    let kinds: Vec<String> = sqlx::query_scalar("select distinct decision from tick")
        .fetch_all(pool)
        .await
        .map_err(|error| error.to_string())?;
    if kinds.len() >= 5 { Ok(()) } else { Err(kinds.join(", ")) }
}

fn figures(decided: &BTreeMap<String, i64>, mut lateness: Vec<f64>) -> String {
    lateness.sort_by(f64::total_cmp);
    let at = |part: usize| lateness[(lateness.len() - 1) * part / 100];
    let mut text = format!("{} ticks decided, each once:", decided.values().sum::<i64>());
    for (decision, count) in decided {
        write!(text, " {count} {decision}").unwrap();
    }
    write!(text, "; fired p50 {:.3} s, p99 {:.3} s after their time", at(50), at(99)).unwrap();
    text
}

async fn rows(pool: &PgPool, id: &str) -> Vec<Row> {
    sqlx::query_as(
        "select tick_at, until, count, decision, job_id, revision,
             extract(epoch from decided_at - until)::float8 as lateness
         from tick where scheduled_job_id = $1 order by tick_at",
    )
    .bind(id)
    .fetch_all(pool)
    .await
    .unwrap()
}

/// The ledger has every multiple of [`TICK`] from the creation to the watermark exactly once.
async fn assert_ticks_equal_the_computed_ones(pool: &PgPool, id: &str, rows: &[Row]) {
    let (created_at, watermark): (DateTime<Utc>, DateTime<Utc>) = sqlx::query_as(
        "select created_at, watermark from scheduled_job join scheduled_job_schedule
         using (scheduled_job_id) where scheduled_job_id = $1",
    )
    .bind(id)
    .fetch_one(pool)
    .await
    .unwrap();
    let first = created_at.timestamp().div_euclid(TICK) + 1;
    let last = watermark.timestamp().div_euclid(TICK);
    let computed: Vec<i64> = (first..=last).map(|number| number * TICK).collect();
    let mut recorded = Vec::new();
    for row in rows {
        let (from, to) = (row.tick_at.timestamp(), row.until.timestamp());
        let ticks: Vec<i64> = (from / TICK..=to / TICK).map(|number| number * TICK).collect();
        assert_eq!(i64::try_from(ticks.len()).unwrap(), row.count, "a range of {id} from {from}");
        recorded.extend(ticks);
    }
    assert_eq!(recorded, computed, "the ticks of {id}");
}

async fn assert_fired_ticks_equal_the_runs(pool: &PgPool, id: &str, rows: &[Row]) {
    let runs: Vec<(DateTime<Utc>, String)> = sqlx::query_as(
        "select tick_at, job_id from scraping_job
         where scheduled_job_id = $1 and origin = 'scheduled' order by tick_at",
    )
    .bind(id)
    .fetch_all(pool)
    .await
    .unwrap();
    let fired: Vec<(DateTime<Utc>, String)> = rows
        .iter()
        .filter(|row| row.decision == "fired")
        .map(|row| (row.tick_at, row.job_id.clone().unwrap()))
        .collect();
    let distinct: BTreeSet<_> = runs.iter().map(|(tick, _)| tick).collect();
    assert_eq!(distinct.len(), runs.len(), "two runs of one tick of {id}");
    assert_eq!(fired, runs, "fired ticks and runs of {id}");
}

/// Each tick was decided by the revision that was valid at that time. A tick is recorded as paused if and
/// only if that revision was not active.
async fn assert_decided_by_the_revision_of_that_time(pool: &PgPool, id: &str, rows: &[Row]) {
    let revisions: Vec<Revision> = sqlx::query_as(
        "select number, valid_from, status from scheduled_job_revision
         where scheduled_job_id = $1 order by number",
    )
    .bind(id)
    .fetch_all(pool)
    .await
    .unwrap();
    for row in rows {
        for tick in [row.tick_at, row.until] {
            let valid = revisions.iter().rev().find(|revision| revision.valid_from < tick).unwrap();
            assert_eq!(row.revision, valid.number, "the tick {tick} of {id}");
            assert_eq!(
                row.decision == "paused",
                valid.status != "active",
                "the tick {tick} of {id}"
            );
        }
    }
}
