//! The outbox as one feed, in the order of commit: its state, the changes after a position, and the transaction
//! that holds it back.
//!
//! A position is a transaction id and an event id, so it is valid in one epoch only: while the same cluster
//! writes on the same timeline. Events of earlier epochs remain for watches of single runs and are not part of
//! the feed.

mod prune;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgConnection;
use sqlx::types::{Json, Uuid};

use super::rows::StateRow;
use super::{Budget, StoreError, runs};
use crate::domain::filter::FilteredState;
use crate::domain::run::Run;
use crate::domain::size::Size;

pub use self::prune::feed_prune;

/// A position in the order of commit. All events of transactions before `xid`, and those of `xid` itself up to
/// `id`, are at or before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeedPosition {
    pub xid: i64,
    pub id: i64,
}

/// State of the feed.
#[derive(Clone, Copy, Debug)]
pub struct Feed {
    /// Tokens of other epochs are invalid.
    pub epoch: Uuid,
    /// Whether the database is still the one of the epoch; otherwise see [`feed_renew`].
    pub is_current: bool,
    /// Everything before it is visible to later reads, and no event will be added there.
    pub horizon: FeedPosition,
    /// No transaction has reached this position yet.
    pub end: FeedPosition,
    /// Events before it have been pruned.
    pub expired: FeedPosition,
    first_id: i64,
}

/// A change of a run.
#[derive(Debug)]
pub struct Change {
    /// The run after the change.
    pub run: Run,
    /// The filterable state before the change; `None` for a new run.
    pub before: Option<FilteredState>,
    /// The filterable state after it. The lists of `run` may be those of a later change.
    pub after: FilteredState,
    pub position: FeedPosition,
}

/// The changes of one read.
#[derive(Debug)]
pub struct FeedPage {
    pub changes: Vec<Change>,
    /// More changes may follow.
    pub is_full: bool,
}

/// An event before its run is known.
struct Event {
    job_id: String,
    state: StateRow,
    before: Option<FilteredState>,
    after: FilteredState,
    position: FeedPosition,
}

/// A transaction that holds the feed back.
#[derive(Debug)]
pub struct BlockingTransaction {
    /// Process id of its backend; none for a prepared transaction.
    pub pid: Option<i32>,
    /// Name of a prepared transaction, needed to end it.
    pub prepared: Option<String>,
    pub user: Option<String>,
    /// Its database, perhaps another one of the cluster.
    pub database: Option<String>,
    /// Its application name, if we may see it.
    pub application: Option<String>,
    /// Time since it began, if we may see it.
    pub age: Option<Duration>,
}

/// Reads the state of the feed. Fails with [`StoreError::Standby`] on a read-only standby.
pub async fn feed_get(conn: &mut PgConnection) -> Result<Feed, StoreError> {
    let row = sqlx::query!(
        r#"
        select
            epoch, first_id, pruned_xid::text::bigint as "pruned_xid!", pruned_xid_id,
            case when not pg_is_in_recovery() then identity = feed_identity() end as is_current,
            pg_snapshot_xmin(pg_current_snapshot())::text::bigint as "horizon!",
            pg_snapshot_xmax(pg_current_snapshot())::text::bigint as "end!"
        from feed
        "#
    )
    .fetch_one(conn)
    .await?;
    Ok(Feed {
        epoch: row.epoch,
        is_current: row.is_current.ok_or(StoreError::Standby)?,
        horizon: FeedPosition { xid: row.horizon, id: 0 },
        end: FeedPosition { xid: row.end, id: 0 },
        expired: FeedPosition { xid: row.pruned_xid, id: row.pruned_xid_id },
        first_id: row.first_id,
    })
}

/// Waits for transactions that write events, and blocks new ones until this transaction ends. Times out after
/// some seconds, because writers queue behind a waiting lock.
pub async fn feed_lock(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("set local lock_timeout = '5s'").execute(&mut *conn).await?;
    sqlx::query!("lock table run_event in share row exclusive mode").execute(conn).await?;
    Ok(())
}

/// Starts a new epoch unless the database is still the one of the current epoch. Needs [`feed_lock`]: an event
/// written meanwhile would be in neither epoch.
pub async fn feed_renew(conn: &mut PgConnection, epoch: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        update feed
        set
            epoch = $1,
            identity = feed_identity(),
            first_id = coalesce((select max(id) from run_event), 0),
            pruned_xid = '0',
            pruned_xid_id = 0
        where identity <> feed_identity()
        "#,
        epoch,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The changes after `position` and before `feed`'s horizon, in the order of commit: at most `limit`, and with runs
/// of at most `bytes` in total.
pub async fn feed_after(
    conn: &mut PgConnection,
    feed: &Feed,
    position: FeedPosition,
    limit: i64,
    bytes: usize,
) -> Result<FeedPage, StoreError> {
    let events = events_after(conn, feed, position, limit).await?;
    let is_full = i64::try_from(events.len()).is_ok_and(|count| count == limit);
    // Each run once, in the order of the events, of which the first ones have to fit into the budget.
    let mut seen = HashSet::new();
    let ids = events.iter().map(|event| event.job_id.as_str()).filter(|id| seen.insert(*id));
    let ids: Vec<&str> = ids.collect();
    let mut budget = Budget::new(bytes);
    let runs = runs::runs_get_within(conn, &ids, |_| true, &mut budget).await?;
    let runs: HashMap<String, Run> =
        runs.into_iter().map(|run| (run.spec.id.to_string(), run)).collect();
    let (mut changes, mut budget_left) = (Vec::new(), Budget::new(bytes));
    for event in events {
        let Some(now) = runs.get(&event.job_id) else {
            if budget.is_spent() {
                return Ok(FeedPage { changes, is_full: true });
            }
            continue;
        };
        let change = event.of(now)?;
        if !budget_left.admits(change.run.size()) {
            return Ok(FeedPage { changes, is_full: true });
        }
        changes.push(change);
    }
    Ok(FeedPage { changes, is_full })
}

async fn events_after(
    conn: &mut PgConnection,
    feed: &Feed,
    position: FeedPosition,
    limit: i64,
) -> Result<Vec<Event>, StoreError> {
    let rows = sqlx::query!(
        r#"
        select
            e.id, e.xid::text::bigint as "xid!", e.job_id, e.run as "run: Json<StateRow>",
            e.failed_locations as "failed!", p.status as "status_before?",
            p.failed_locations as "failed_before?"
        from run_event e
        left join run_event p on p.job_id = e.job_id and p.revision = e.revision - 1
        where (e.xid, e.id) > ($1::bigint::text::xid8, $2::bigint)
            and e.xid < $3::bigint::text::xid8
            and e.id > $4
        order by e.xid, e.id
        limit $5
        "#,
        position.xid,
        position.id,
        feed.horizon.xid,
        feed.first_id,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let Json(state) = row.run;
            let after = filtered(Some(state.status()), Some(row.failed));
            let unreadable = || StoreError::unreadable("run_event", &row.job_id, &"unknown status");
            Ok(Event {
                after: after.ok_or_else(unreadable)?,
                before: filtered(row.status_before.as_deref(), row.failed_before),
                position: FeedPosition { xid: row.xid, id: row.id },
                job_id: row.job_id,
                state,
            })
        })
        .collect()
}

impl Event {
    /// The change, given the run as it is now.
    fn of(self, now: &Run) -> Result<Change, StoreError> {
        let Self { state, before, after, position, .. } = self;
        let failed = i32::try_from(after.failed_locations).unwrap_or(i32::MAX);
        let state = state.read_event(failed, &now.state.progress)?;
        Ok(Change { run: Run { spec: Arc::clone(&now.spec), state }, before, after, position })
    }
}

fn filtered(status: Option<&str>, failed_locations: Option<i32>) -> Option<FilteredState> {
    let status = status?.parse().ok()?;
    Some(FilteredState { status, failed_locations: failed_locations?.into() })
}

/// The position of the last change after `position` and before `feed`'s horizon; `position` if there is none.
///
/// A position is always that of a change, never the horizon: committed events survive a crash of the database,
/// but the ids of transactions that were lost are assigned again, and no position may be beyond those.
pub async fn feed_last(
    conn: &mut PgConnection,
    feed: &Feed,
    position: FeedPosition,
) -> Result<FeedPosition, StoreError> {
    let row = sqlx::query!(
        r#"
        select xid::text::bigint as "xid!", id
        from run_event
        where (xid, id) > ($1::bigint::text::xid8, $2::bigint)
            and xid < $3::bigint::text::xid8
            and id > $4
        order by xid desc, id desc
        limit 1
        "#,
        position.xid,
        position.id,
        feed.horizon.xid,
        feed.first_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map_or(position, |row| FeedPosition { xid: row.xid, id: row.id }))
}

/// Age of the first event beyond the horizon; `None` if there is none.
pub async fn feed_lag(conn: &mut PgConnection) -> Result<Option<Duration>, StoreError> {
    let seconds = sqlx::query_scalar!(
        r#"
        select extract(epoch from clock_timestamp() - written_at)::float8 as "seconds!"
        from run_event
        where xid >= pg_snapshot_xmin(pg_current_snapshot())
            and xid < pg_snapshot_xmax(pg_current_snapshot())
            and id > (select first_id from feed)
        order by xid, id
        limit 1
        "#
    )
    .fetch_optional(conn)
    .await?;
    Ok(seconds.and_then(seconds_of))
}

/// The oldest transaction of the whole cluster that has written or may write.
pub async fn feed_blocking_transaction(
    conn: &mut PgConnection,
) -> Result<Option<BlockingTransaction>, StoreError> {
    let row = sqlx::query!(
        r#"
        select
            l.pid, p.gid as "prepared?", coalesce(a.usename, p.owner)::text as user,
            coalesce(a.datname, p.database)::text as database, a.application_name as application,
            extract(epoch from clock_timestamp() - coalesce(a.xact_start, p.prepared))::float8 as age
        from pg_locks l
        left join pg_stat_activity a on a.pid = l.pid
        left join pg_prepared_xacts p on p.transaction = l.transactionid
        where l.locktype = 'transactionid'
            and l.mode = 'ExclusiveLock'
            and l.granted
        order by age(l.transactionid) desc
        limit 1
        "#
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| BlockingTransaction {
        pid: row.pid,
        prepared: row.prepared,
        user: row.user,
        database: row.database,
        application: row.application,
        age: row.age.and_then(seconds_of),
    }))
}

fn seconds_of(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}
