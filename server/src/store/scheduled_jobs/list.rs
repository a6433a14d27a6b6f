//! Lists of scheduled jobs.

use sqlx::PgConnection;

use super::JobRow;
use crate::domain::id::ScheduledJobId;
use crate::domain::scheduled_job::{ScheduledJob, Status};
use crate::domain::wanted::JobConditions;
use crate::store::StoreError;
use crate::store::conditions::{LabelArrays, words};

/// Which scheduled jobs a list is about, and where its page begins.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Only with this status.
    pub status: Option<Status>,
    pub show_deleted: bool,
    /// What else is asked of them.
    pub conditions: JobConditions,
    /// Only those after this id.
    pub after: Option<ScheduledJobId>,
}

/// Counts scheduled jobs; the arguments are those of `select_jobs`, without the history `h`.
macro_rules! count_jobs {
    ($tail:literal $(+ $more:literal)* $(, $argument:expr)* $(,)?) => {
        sqlx::query_scalar!(
            r#"
            select count(*) as "count!"
            from scheduled_job j
            join scheduled_job_schedule s using (scheduled_job_id)
            "# + $tail $(+ $more)*
            $(, $argument)*
        )
    };
}

/// Selects or counts the jobs that a filter matches; the last arguments are those of `$more`.
macro_rules! matching_jobs {
    ($select:ident, $filter:expr $(, $more:literal $(, $argument:expr)*)?) => {{
        let JobFilter { conditions, .. } = $filter;
        let labels = LabelArrays::of(&conditions.labels);
        $select!(
            r#"
            where ($1::text is null or s.status = $1)
                and ($2 or s.deleted_at is null)
                and ($3::text[] is null or s.status = any($3))
                and ($4::text[] is null or j.priority = any($4))
                and ($5::text is null or j.parameters ->> 'source' = $5)
                and ($6::timestamptz is null or j.created_at >= $6)
                and ($7::timestamptz is null or j.created_at < $7)
                and ($8::jsonb is null or j.labels @> $8)
                and ($9::text[] is null or j.labels ?& $9)
                and ($10::text[] is null or not j.labels ?| $10)
                and ($11::jsonb[] is null or not j.labels @> any($11))
            "# $(+ $more)?,
            $filter.status.map(<&str>::from),
            $filter.show_deleted,
            words(conditions.status.as_deref()) as _,
            words(conditions.priority.as_deref()) as _,
            conditions.source.as_deref(),
            conditions.created.from,
            conditions.created.until,
            labels.equal as _,
            labels.have as _,
            labels.lack as _,
            labels.differ as _
            $($(, $argument)*)?
        )
    }};
}

/// A page of scheduled jobs by id.
pub async fn scheduled_jobs_list(
    conn: &mut PgConnection,
    filter: &JobFilter,
    limit: i64,
) -> Result<Vec<ScheduledJob>, StoreError> {
    let rows = matching_jobs!(
        select_jobs,
        filter,
        "and j.scheduled_job_id > $12 order by j.scheduled_job_id limit $13",
        filter.after.as_ref().map_or("", ScheduledJobId::as_str),
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(ScheduledJob::try_from).collect()
}

/// How many scheduled jobs match on all pages.
pub async fn scheduled_jobs_count(
    conn: &mut PgConnection,
    filter: &JobFilter,
) -> Result<i64, StoreError> {
    Ok(matching_jobs!(count_jobs, filter).fetch_one(conn).await?)
}
