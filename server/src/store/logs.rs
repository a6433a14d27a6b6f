//! Logs of runs. Written under the run's lock, so a reader that has seen a line has seen all earlier ones.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use strum::VariantArray;

use super::{Budget, StoreError};
use crate::domain::id::RunId;
use crate::domain::log::{Counts, KeptLine, Level, Line, LogFilter};

/// Number of lines of attempts of different runs, by run.
pub async fn log_counts(
    conn: &mut PgConnection,
    attempts: &[(&RunId, i32)],
) -> Result<BTreeMap<String, Counts>, StoreError> {
    let (ids, numbers): (Vec<&str>, Vec<i32>) =
        attempts.iter().map(|(run, attempt)| (run.as_str(), *attempt)).unzip();
    let rows = sqlx::query!(
        r#"
        select l.job_id, l.location, count(*) as "count!"
        from unnest($1::text[], $2::int[]) as n (job_id, attempt)
        join scraping_job_log l on l.job_id = n.job_id and l.attempt = n.attempt
        group by l.job_id, l.location
        "#,
        &ids as _,
        &numbers,
    )
    .fetch_all(conn)
    .await?;
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    for row in rows {
        let count = usize::try_from(row.count).unwrap_or(usize::MAX);
        counts.entry(row.job_id).or_default().insert(row.location, count);
    }
    Ok(counts)
}

/// Appends lines, each with its run and attempt, skipping lines that are already stored.
pub async fn log_append(
    conn: &mut PgConnection,
    lines: &[(&RunId, i32, Line)],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let texts = |of: fn(&Line) -> &str| lines.iter().map(|(_, _, it)| of(it)).collect::<Vec<_>>();
    sqlx::query!(
        r#"
        with n as (
            select *, row_number() over (partition by job_id order by place) as nth
            from unnest(
                $1::text[], $2::int[], $3::bigint[], $4::text[], $5::timestamptz[], $6::text[], $7::text[]
            ) with ordinality
                as n (job_id, attempt, sequence, location, logged_at, level, text, place)
        ),
        last as (
            select
                r.job_id,
                (select coalesce(max(l.number), 0) from scraping_job_log l where l.job_id = r.job_id) as number
            from (select distinct job_id from n) r
        )
        insert into scraping_job_log (
            job_id, number, attempt, sequence, location, logged_at, level, text, received_at
        )
        select
            n.job_id, last.number + n.nth, n.attempt, n.sequence, n.location, n.logged_at, n.level, n.text, $8
        from n
        join last on last.job_id = n.job_id
        order by n.place
        on conflict (job_id, attempt, sequence) where sequence > 0 do nothing
        "#,
        &lines.iter().map(|(run, _, _)| run.as_str()).collect::<Vec<_>>() as _,
        &lines.iter().map(|(_, attempt, _)| *attempt).collect::<Vec<_>>(),
        &lines.iter().map(|(_, _, line)| line.sequence).collect::<Vec<_>>(),
        &texts(|line| &line.location) as _,
        &lines.iter().map(|(_, _, line)| line.logged_at).collect::<Vec<_>>(),
        &texts(|line| line.level.into_str()) as _,
        &texts(|line| &line.text) as _,
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
