//! Removes old events and records the position up to which they were removed.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::StoreError;

/// Prunes at most `limit` of the oldest events, written before `cutoff`. The last event of an unfinished run
/// stays, because the next event needs its status. Returns the number of events passed; 0 also while another
/// server prunes, or while an open transaction holds the feed back.
///
/// The statement in steps:
/// - `mark` locks the position up to which events were passed, or yields nothing if it is locked.
/// - `page` reads the next events after it.
/// - `aged` marks the prefix of the page that is old enough and was visible to all watches: the mark is a
///   single id, so pruning stops at the first event that must stay.
/// - `passed` is that prefix.
/// - `gone` deletes, for each passed event, the event before it in the same run, and the event itself if it is
///   final.
/// - `marked` moves the mark to the end of the prefix, and records the highest feed position among the passed
///   events of the current epoch: watches that have not reached it have missed something.
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
