//! What is old in the feed is removed, and the feed remembers up to where.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;

/// Looks at the oldest events written before `cutoff`, at most so many, and removes them, save those
/// that are still the last ones of an unfinished run: the state that later events change. Returns how
/// many it looked at; 0 also while somebody else does, or an open transaction holds the feed back.
pub async fn feed_prune(
    conn: &mut PgConnection,
    cutoff: DateTime<Utc>,
    limit: i64,
) -> Result<i64, StoreError> {
    let passed = sqlx::query_scalar!(
        r#"
        with mark as (
            select pruned_id, first_id from feed for update skip locked
        ),
        page as (
            select e.id, e.xid, e.job_id, e.revision, e.status, e.written_at, m.first_id
            from mark m
            cross join lateral (
                select * from run_event where id > m.pruned_id order by id limit $2
            ) e
        ),
        aged as (
            select
                *,
                bool_and(
                    written_at < $1
                    -- What watches were not shown yet stays.
                    and (id <= first_id or xid < pg_snapshot_xmin(pg_current_snapshot()))
                ) over (order by id) as is_old
            from page
        ),
        passed as (
            select * from aged where is_old
        ),
        gone as (
            delete from run_event e
            using passed p
            where e.job_id = p.job_id
                and (
                    e.revision = p.revision - 1
                    or (e.revision = p.revision and p.status in ('completed', 'failed', 'cancelled'))
                )
        ),
        marked as (
            update feed f
            set
                pruned_id = (select max(id) from passed),
                (pruned_xid, pruned_xid_id) = (
                    select l.xid, l.id
                    from (
                        select xid, id from passed where id > first_id
                        union all
                        select f.pruned_xid, f.pruned_xid_id
                    ) l
                    order by l.xid desc, l.id desc
                    limit 1
                )
            where exists (select from passed)
        )
        select count(*) as "count!" from passed
        "#,
        cutoff,
        limit,
    )
    .fetch_one(conn)
    .await?;
    Ok(passed)
}
