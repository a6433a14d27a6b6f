//! Lists of runs.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::run::{Run, Status};
use crate::domain::wanted::RunConditions;
use crate::store::StoreError;
use crate::store::conditions::{LabelArrays, words};
use crate::store::rows::{RunRow, SpecRow, StateRow, with_run_columns};

/// Totals are exact up to here.
pub const COUNT_LIMIT: i64 = 10_000;

/// Which runs a list is about, and where its page begins.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Only of this scheduled job.
    pub scheduled_job_id: Option<ScheduledJobId>,
    /// Only in this state.
    pub status: Option<Status>,
    /// What else is asked of them.
    pub conditions: RunConditions,
    /// Only older than this one.
    pub after: Option<(DateTime<Utc>, RunId)>,
}

/// Counts runs; the arguments are those of `select_runs`.
macro_rules! count_runs {
    ($tail:literal $(+ $more:literal)* $(, $argument:expr)* $(,)?) => {
        sqlx::query_scalar!(
            r#"select count(*) as "count!" from (select 1 from scraping_job "#
                + $tail $(+ $more)* + ") matching"
            $(, $argument)*
        )
    };
}

/// Selects or counts the runs that a filter matches, from where its page begins.
macro_rules! matching_runs {
    ($select:ident, $order:literal, $filter:expr, $after:expr, $limit:expr) => {{
        let RunFilter { conditions, .. } = $filter;
        let (after_at, after_id) = $after.unzip();
        let labels = LabelArrays::of(&conditions.labels);
        $select!(
            r#"
            where ($1::text is null or scheduled_job_id = $1)
                and ($2::text is null or status = $2)
                and ($3::timestamptz is null or (created_at, job_id) < ($3, $4::text))
                and ($5::text[] is null or status = any($5))
                and ($6::text[] is null or origin = any($6))
                and ($7::text[] is null or priority = any($7))
                and ($8::text is null or scheduled_job_id = $8)
                and ($9::text is null or source = $9)
                and ($10::timestamptz is null or created_at >= $10)
                and ($11::timestamptz is null or created_at < $11)
                and ($12::jsonb is null or (labels <> '{}' and labels @> $12))
                and ($13::text[] is null or (labels <> '{}' and labels ?& $13))
                and ($14::text[] is null or not labels ?| $14)
                and ($15::jsonb[] is null or not labels @> any($15))
            "# + $order
                + " limit $16",
            $filter.scheduled_job_id.as_ref().map(ScheduledJobId::as_str),
            $filter.status.map(<&str>::from),
            after_at,
            after_id.as_ref().map(RunId::as_str),
            words(conditions.status.as_deref()) as _,
            words(conditions.origin.as_deref()) as _,
            words(conditions.priority.as_deref()) as _,
            conditions.scheduled_job_id.as_ref().map(ScheduledJobId::as_str),
            conditions.source.as_deref(),
            conditions.created.from,
            conditions.created.until,
            labels.equal as _,
            labels.have as _,
            labels.lack as _,
            labels.differ as _,
            $limit,
        )
    }};
}

/// A page of runs, newest first.
pub async fn runs_list(
    conn: &mut PgConnection,
    filter: &RunFilter,
    limit: i64,
) -> Result<Vec<Run>, StoreError> {
    let after = filter.after.clone();
    let rows =
        matching_runs!(select_runs, "order by created_at desc, job_id desc", filter, after, limit)
            .fetch_all(conn)
            .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// How many runs match on all pages, counted up to one more than [`COUNT_LIMIT`].
pub async fn runs_count(conn: &mut PgConnection, filter: &RunFilter) -> Result<i64, StoreError> {
    let first: Option<(DateTime<Utc>, RunId)> = None;
    let count = matching_runs!(count_runs, "", filter, first, COUNT_LIMIT + 1);
    Ok(count.fetch_one(conn).await?)
}

/// Ids of runs after `after` that a filter matches, were made until `now` and can be cancelled.
pub async fn runs_to_cancel(
    conn: &mut PgConnection,
    filter: &RunFilter,
    after: &str,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<RunId>, StoreError> {
    let RunFilter { conditions, .. } = filter;
    let labels = LabelArrays::of(&conditions.labels);
    let ids = sqlx::query_scalar!(
        r#"
        select job_id
        from scraping_job
        where status in ('pending', 'running')
            and cancel_requested_at is null
            and job_id > $1
            and created_at <= $2
            and ($3::text is null or scheduled_job_id = $3)
            and ($4::text[] is null or status = any($4))
            and ($5::text[] is null or origin = any($5))
            and ($6::text[] is null or priority = any($6))
            and ($7::text is null or scheduled_job_id = $7)
            and ($8::text is null or source = $8)
            and ($9::timestamptz is null or created_at >= $9)
            and ($10::timestamptz is null or created_at < $10)
            and ($11::jsonb is null or (labels <> '{}' and labels @> $11))
            and ($12::text[] is null or (labels <> '{}' and labels ?& $12))
            and ($13::text[] is null or not labels ?| $13)
            and ($14::jsonb[] is null or not labels @> any($14))
        order by job_id
        limit $15
        "#,
        after,
        now,
        filter.scheduled_job_id.as_ref().map(ScheduledJobId::as_str),
        words(conditions.status.as_deref()) as _,
        words(conditions.origin.as_deref()) as _,
        words(conditions.priority.as_deref()) as _,
        conditions.scheduled_job_id.as_ref().map(ScheduledJobId::as_str),
        conditions.source.as_deref(),
        conditions.created.from,
        conditions.created.until,
        labels.equal as _,
        labels.have as _,
        labels.lack as _,
        labels.differ as _,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.iter().filter_map(|id| RunId::parse(id).ok()).collect())
}
