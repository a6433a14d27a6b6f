//! Fills the database with ended runs, as a year of work leaves them behind: with their labels, the history of
//! their jobs, the ledger of 90 days, and the changes and request ids of 7 days.
//!
//! Each job has one run in each of 100 equal periods of the year: 95 completed ones, 4 failed ones and a cancelled
//! one; 80 were made by a tick. Bigger sizes have more jobs with runs, so that a call about one job answers the same
//! at every size. The runs of ten periods are inserted in the order of their ids, which is fast: the rows of an
//! index's page come together.

use std::time::Instant;

use futures::future::join_all;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::copy::{self, Values};
use crate::jobs::TEMPLATE;

pub(crate) const RUNS_PER_JOB: i64 = 100;
/// Periods that are inserted together.
const PERIODS: i64 = 10;
/// Of the year, in minutes.
const PERIOD: i64 = 366 * 24 * 60 / RUNS_PER_JOB;
/// Connections that insert at the same time.
const LANES: i64 = 2;

/// Columns of a run that differ from its template's. Other times keep their distance from the creation.
const RUN: Values = &[
    ("job_id", "m.job_id"),
    ("scheduled_job_id", "m.scheduled_job_id"),
    ("origin", "m.origin"),
    ("parameters", "t.parameters || jsonb_build_object('source', m.source)"),
    ("labels", "jsonb_build_object('team', m.team, 'region', m.region)"),
    ("tick_at", "m.tick_at"),
    ("created_at", "m.created_at"),
    ("event_xid", "pg_current_xact_id()"),
];
const EVENT: Values = &[
    ("xid", "pg_current_xact_id()"),
    ("job_id", "m.job_id"),
    ("run", "t.run || jsonb_build_object('job_id', m.job_id)"),
    ("written_at", "m.created_at"),
];

/// The tables that have rows of these runs only, written from `made`.
const OTHERS: [&str; 4] = [
    "insert into run_label (label, ended_as, created_at, job_id)
     select label, ended_as, created_at, job_id
     from
        made,
        lateral (values ('team=' || team), ('region=' || region)) labels (label),
        unnest(case status when 'completed' then array[''] else array['', status] end) ended_as
     order by label, ended_as, created_at",
    "insert into tick (
        scheduled_job_id, tick_at, until, count, decision, reason, job_id, starts_at, decided_at, server, revision
     )
     select
        scheduled_job_id, tick_at, tick_at, 1, 'fired', '', job_id, tick_at, created_at, 'growth', 1
     from made
     where tick_at > now() - interval '89 days'",
    "insert into request (principal, method, request_id, payload_hash, made_id, created_at)
     select 'anonymous', 'TriggerJob', gen_random_uuid(), sha256(job_id::bytea), job_id, created_at
     from made
     where tick_at is null and created_at > now() - interval '6 days'
     order by created_at",
    "update scheduled_job_history h
     set
        run_count = 100, last_run_at = coalesce(r.started_at, r.completed_at), last_run_status = r.status,
        last_run_job_id = r.job_id, last_ended_at = r.completed_at
     from made m
     join scraping_job r using (job_id)
     where m.period = 99 and h.scheduled_job_id = m.scheduled_job_id",
];

/// A database that grows.
pub(crate) struct Filling {
    lanes: Vec<PgConnection>,
    /// End of the year, as text.
    until: String,
    runs: i64,
}

impl Filling {
    pub(crate) async fn start(url: &str) -> Self {
        let mut lanes = Vec::new();
        for _ in 0..LANES {
            let mut conn = PgConnection::connect(url).await.unwrap();
            conn.execute(sqlx::raw_sql(AssertSqlSafe(templates()))).await.unwrap();
            lanes.push(conn);
        }
        let until = "select date_trunc('minute', now() - interval '10 minutes')::text";
        let until = sqlx::query_scalar(until).fetch_one(lanes.first_mut().unwrap()).await.unwrap();
        Self { lanes, until, runs: 0 }
    }

    /// Adds runs until there are `runs`, and leaves the tables as autovacuum would.
    pub(crate) async fn grow(&mut self, runs: i64) {
        let begin = Instant::now();
        let (first, last) = (self.runs / RUNS_PER_JOB, runs / RUNS_PER_JOB);
        let border = |lane| first + (last - first) * lane / LANES;
        let until = &self.until;
        let lanes = self.lanes.iter_mut().zip(0..).map(async |(conn, lane)| {
            fill(conn, until, (border(lane), border(lane + 1))).await;
        });
        join_all(lanes).await;
        let seconds = begin.elapsed().as_secs_f64();
        let added = f64::from(i32::try_from(runs - self.runs).unwrap());
        println!("Filled up to {runs} runs in {seconds:.0} s, {:.0} a second", added / seconds);
        let conn = self.lanes.first_mut().unwrap();
        for statement in ["vacuum analyze", "checkpoint"] {
            conn.execute(statement).await.unwrap();
        }
        println!("Vacuumed in {:.0} s", begin.elapsed().as_secs_f64() - seconds);
        self.runs = runs;
    }
}

/// The templates, in tables of the session. Runs are acknowledged before they are on disk: only the calls are
/// measured.
fn templates() -> String {
    format!(
        "set synchronous_commit = off;
         set jit = off;
         create temp table template as
            select * from scraping_job where scheduled_job_id = '{TEMPLATE}';
         create temp table template_event as
            select e.*, t.status as final from run_event e join template t using (job_id)"
    )
}

/// Makes the runs of the jobs from the first number up to the last.
async fn fill(conn: &mut PgConnection, until: &str, (first, last): (i64, i64)) {
    let run = copy(conn, "scraping_job", "template", ("status", RUN)).await;
    let event = copy(conn, "run_event", "template_event", ("final", EVENT)).await;
    let event = format!(
        "{event} where m.created_at > now() - interval '6 days' order by m.created_at, t.revision"
    );
    for period in (0..RUNS_PER_JOB).step_by(usize::try_from(PERIODS).unwrap()) {
        let count = (last - first) * PERIODS;
        conn.execute(AssertSqlSafe(made(until, first, period, count))).await.unwrap();
        for statement in [&run, &event] {
            conn.execute(AssertSqlSafe(statement.clone())).await.unwrap();
        }
        for statement in OTHERS.into_iter().chain(["drop table made"]) {
            conn.execute(statement).await.unwrap();
        }
    }
}

/// The table of runs to insert: those of ten periods of each job, a job after the other.
fn made(until: &str, first: i64, period: i64, count: i64) -> String {
    format!(
        "create temp table made as
         select
            period, scheduled_job_id, origin, status, team, region, source, created_at,
            case when origin = 'scheduled' then tick_at end as tick_at,
            concat_ws(
                '_', origin, scheduled_job_id, extract(epoch from tick_at)::bigint,
                left(md5(job || '/' || period), 12)
            ) as job_id
         from (
            select
                job, period, tick_at,
                tick_at + job % 1000 * interval '1 millisecond' as created_at,
                'growth-' || lpad(job::text, 6, '0') as scheduled_job_id,
                case when (job + period) % 5 = 0 then 'triggered' else 'scheduled' end as origin,
                case
                    when (7 * job + 13 * period) % 100 = 0 then 'cancelled'
                    when (7 * job + 13 * period) % 100 < 5 then 'failed'
                    else 'completed'
                end as status,
                (job % 10)::text as team,
                ((job + 7 * period) % 50)::text as region,
                'source-' || job % 4 as source
            from (
                select
                    job, period,
                    timestamptz '{until}'
                        + make_interval(mins => (period - {RUNS_PER_JOB}) * {PERIOD} + job * 3251 % {PERIOD})
                        as tick_at
                from (
                    select {first} + n / {PERIODS} as job, {period} + n % {PERIODS} as period
                    from generate_series(0, {count} - 1) n
                ) numbers
                offset 0
            ) times
            offset 0
         ) parts"
    )
}

/// A statement that copies the templates of each run to make, with other values for some columns. `key` is the
/// template's column that has the status of the run.
async fn copy(
    conn: &mut PgConnection,
    table: &str,
    templates: &str,
    (key, values): (&str, Values),
) -> String {
    let insert = copy::insert(conn, table, values, |column| match column.data_type.as_str() {
        "timestamp with time zone" => format!("m.created_at + (t.{} - t.created_at)", column.name),
        _ => format!("t.{}", column.name),
    });
    // The offset keeps the order of the runs.
    format!(
        "{}
         from made m
         cross join lateral (select * from {templates} t where t.{key} = m.status offset 0) t",
        insert.await
    )
}
