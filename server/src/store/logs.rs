//! Logs of runs. Written under the run's lock, so a reader that has seen a line has seen all earlier ones.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;
use sqlx::types::Json;
use strum::VariantArray;

use super::{Budget, StoreError};
use crate::domain::id::RunId;
use crate::domain::log::{Counts, KeptLine, Level, Line, LogFilter};

/// Number of lines of each attempt.
pub async fn log_counts(
    conn: &mut PgConnection,
    run: &RunId,
    attempt: i32,
) -> Result<Counts, StoreError> {
    let rows = sqlx::query!(
        r#"
        select location, count(*) as "count!"
        from scraping_job_log
        where job_id = $1 and attempt = $2
        group by location
        "#,
        run.as_str(),
        attempt,
    )
    .fetch_all(conn)
    .await?;
    let count = |count: i64| usize::try_from(count).unwrap_or(usize::MAX);
    Ok(rows.into_iter().map(|row| (row.location, count(row.count))).collect())
}

/// Appends lines of an attempt, skipping lines that are already stored.
pub async fn log_append(
    conn: &mut PgConnection,
    run: &RunId,
    attempt: i32,
    lines: &[Line],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let row = |line: &Line| {
        json!({
            "sequence": line.sequence,
            "location": line.location,
            "logged_at": line.logged_at,
            "level": line.level.into_str(),
            "text": line.text,
        })
    };
    let rows: Vec<Value> = lines.iter().map(row).collect();
    sqlx::query!(
        r#"
        insert into scraping_job_log (
            job_id, number, attempt, sequence, location, logged_at, level, text, received_at
        )
        select
            $1,
            (select coalesce(max(number), 0) from scraping_job_log where job_id = $1) + n.place,
            $2, n.sequence, n.location, n.logged_at, n.level, n.text, $4
        from rows from (
            jsonb_to_recordset($3)
                as (sequence bigint, location text, logged_at timestamptz, level text, text text)
        ) with ordinality as n (sequence, location, logged_at, level, text, place)
        on conflict (job_id, attempt, sequence) where sequence > 0 do nothing
        "#,
        run.as_str(),
        attempt,
        Json(&rows) as _,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes at most `limit` lines of ended runs that were received before a time; returns their number.
pub async fn logs_prune(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, StoreError> {
    // New lines are numbered from a run's last one, so an active run must keep its lines.
    let pruned = sqlx::query!(
        r#"
        delete from scraping_job_log
        where (job_id, number) in (
            select l.job_id, l.number
            from scraping_job_log l
            join scraping_job r using (job_id)
            where l.received_at < $1
                and r.completed_at is not null
            order by l.received_at
            limit $2
        )
        "#,
        before,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(pruned.rows_affected())
}

/// Lines of a log that match, oldest first, up to a budget.
pub async fn log_list(
    conn: &mut PgConnection,
    filter: &LogFilter,
    budget: &mut Budget,
) -> Result<Vec<KeptLine>, StoreError> {
    let levels = Level::VARIANTS.iter().filter(|level| **level >= filter.min_level);
    let levels: Vec<&str> = levels.map(Level::into_str).collect();
    let rows = sqlx::query_as!(
        LineRow,
        r#"
        select number, attempt, sequence, location, logged_at, level, text
        from scraping_job_log
        where job_id = $1
            and number > $2
            and ($3::int is null or attempt = $3)
            and ($4::text is null or location = $4)
            and level = any($5)
        order by number
        limit $6
        "#,
        filter.run.as_str(),
        filter.after,
        filter.attempt,
        filter.location.as_deref(),
        &levels as _,
        filter.limit,
    )
    .fetch(conn);
    budget.collect(rows, |row: LineRow| Ok(row.into())).await
}

struct LineRow {
    number: i64,
    attempt: i32,
    sequence: i64,
    location: String,
    logged_at: DateTime<Utc>,
    level: String,
    text: String,
}

impl From<LineRow> for KeptLine {
    fn from(row: LineRow) -> Self {
        let LineRow { number, attempt, sequence, location, logged_at, level, text } = row;
        let level = level.parse().unwrap_or(Level::Info);
        Self { number, attempt, line: Line { sequence, location, logged_at, level, text } }
    }
}
