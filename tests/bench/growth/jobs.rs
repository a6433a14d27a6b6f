//! The scheduled jobs, and the runs that the filling copies. The server makes one of each kind, so that a copy has
//! all that the server writes.

use sqlx::{AssertSqlSafe, PgConnection};
use windrow::v1 as proto;

use crate::calls::Calls;
use crate::copy::{self, Values};
use crate::program::Program;

/// A job that is never filled, and whose runs are the templates: one for each final status.
pub(crate) const TEMPLATE: &str = "template";
pub(crate) const TEMPLATES: i64 = 3;

/// Makes the jobs, all active and not due, and the templates.
pub(crate) async fn create(server: &Program, conn: &mut PgConnection, count: i64) {
    let mut calls = Calls::connect(&server.address).await;
    let job = proto::ScheduledJob {
        scheduled_job_id: TEMPLATE.to_owned(),
        name: "Template".to_owned(),
        cron_expression: "0 0 1 1 *".to_owned(),
        parameters: Some(proto::ScrapeParameters {
            locations: vec!["46201".to_owned()],
            source: Some("source-0".to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    };
    let request =
        proto::CreateScheduledJobRequest { scheduled_job: Some(job), ..Default::default() };
    calls.jobs.create_scheduled_job(request).await.unwrap();
    run(&mut calls).await;
    for (table, values) in TABLES {
        copy(conn, table, values, count).await;
    }
}

/// One run for each final status.
async fn run(calls: &mut Calls) {
    for outcome in [proto::AttemptOutcome::Done, proto::AttemptOutcome::Failed] {
        calls.trigger(TEMPLATE).await;
        let lease = calls.lease().await;
        calls.finish(lease, outcome).await;
    }
    let job_id = calls.trigger(TEMPLATE).await;
    calls.runs.cancel_scraping_job(proto::CancelScrapingJobRequest { job_id }).await.unwrap();
}

/// The tables of a job, and the columns of a copy that differ from the template. They are two years old.
const TABLES: [(&str, Values); 4] = [
    ("scheduled_job", SETTINGS),
    (
        "scheduled_job_schedule",
        &[
            ("scheduled_job_id", "job.id"),
            ("watermark", "timestamptz '2097-12-31T23:59:59Z'"),
            ("next_tick_at", "timestamptz '2098-01-01T00:00:00Z'"),
        ],
    ),
    (
        "scheduled_job_history",
        &[
            ("scheduled_job_id", "job.id"),
            ("run_count", "0"),
            ("last_run_at", "null"),
            ("last_run_status", "null"),
            ("last_run_job_id", "null"),
            ("last_ended_at", "null"),
        ],
    ),
    ("scheduled_job_revision", SETTINGS),
];

const SETTINGS: Values = &[
    ("scheduled_job_id", "job.id"),
    ("name", "'Growth ' || job.number"),
    ("cron_expression", "'* * * * *'"),
    ("parameters", "t.parameters || jsonb_build_object('source', 'source-' || job.number % 4)"),
    ("labels", "jsonb_build_object('team', (job.number % 10)::text)"),
    ("created_at", "t.created_at - interval '2 years'"),
    ("valid_from", "t.valid_from - interval '2 years'"),
];

/// Copies the template's row of a table for each job.
async fn copy(conn: &mut PgConnection, table: &str, values: Values, count: i64) {
    let insert = copy::insert(conn, table, values, |column| format!("t.{}", column.name)).await;
    let insert = format!(
        "{insert}
         from (
            select number, 'growth-' || lpad(number::text, 6, '0') as id
            from generate_series(0, {count} - 1) number
         ) job, {table} t
         where t.scheduled_job_id = '{TEMPLATE}'"
    );
    sqlx::query(AssertSqlSafe(insert)).execute(conn).await.unwrap();
}
