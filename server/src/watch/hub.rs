//! Tails the feed once for all watches of a server.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::types::Uuid;
use sqlx::{Connection, PgConnection, Postgres, Transaction};
use tokio::sync::{Mutex, Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use windrow_worker::Outage;

use super::change::Change;
use super::inbox::{Inbox, Interest};
use super::monitor::Monitor;
use super::poll_backoff::{POLL, PollBackoff};
use super::registry::Registry;
use crate::store::feed::{self, Feed, FeedPage, FeedPosition};
use crate::store::{self, Pool, StoreError};

/// Pause after a poll that found changes. Changes that are committed meanwhile are read and sent in one batch,
/// which costs a fraction of one by one. After a quiet time the hub polls immediately.
const GAP: Duration = Duration::from_millis(5);
/// Pause after each poll while nothing is watched, which ends with the first watch.
const UNWATCHED_GAP: Duration = Duration::from_millis(50);
/// Pause after a hint that led to an empty poll: the feed is held back, or an earlier poll had already read
/// the change.
const EMPTY_POLL_INTERVAL: Duration = Duration::from_millis(1);
/// Pause after a database error.
pub(super) const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// A connection that does not answer within this time is dropped: its server may be gone.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Most changes of one read, and their bytes: all are in memory at the same time.
const PAGE: i64 = 256;
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// A hub that has not read the feed for this long can no longer tell whether a watch is idle.
const STALE_AFTER: Duration = Duration::from_secs(10);
/// Watches may use one in this many of the pool's connections, so that writers do not wait for them.
const READERS_SHARE: u32 = 4;

/// Tails the feed and passes changes on to the watches of this server.
#[derive(Debug)]
pub struct Hub {
    pub(super) pool: Pool,
    pub(super) instance: Uuid,
    pub(super) registry: Registry,
    wake: Notify,
    watched: Notify,
    pub(super) hinted: Notify,
    /// Outside the pool, so that the hub keeps reading when the pool is exhausted.
    connection: Mutex<Option<PgConnection>>,
    readers: Semaphore,
    lag_millis: AtomicU64,
    overflows: AtomicU64,
    /// Time of the last successful read.
    read_at: StdMutex<Instant>,
    /// A watch has seen a feed other than the one on the hub's connection.
    is_in_doubt: AtomicBool,
}

/// A consistent view of the database for one watch. Its feed has the epoch that the hub knows.
pub(super) struct Snapshot<'h> {
    pub(super) conn: Transaction<'static, Postgres>,
    pub(super) feed: Feed,
    _permit: Option<SemaphorePermit<'h>>,
}

/// Result of one read.
struct Page {
    changes: usize,
    /// More changes may follow.
    is_full: bool,
    /// The feed's horizon at the time of the read, and its end. Changes in between are held back by an open
    /// transaction.
    horizon: FeedPosition,
    end: FeedPosition,
}

impl Hub {
    /// Starts a hub that sees every change committed from now on.
    pub async fn start(pool: impl Into<Pool>) -> Result<Self, StoreError> {
        let pool = pool.into();
        let mut connection = pool.connect_alone().await?;
        let feed = open(&mut connection).await?;
        let last = feed::feed_last(&mut connection, &feed, feed.expired).await?;
        let readers = pool.max_size().div_ceil(READERS_SHARE);
        Ok(Self {
            pool,
            instance: Uuid::new_v4(),
            registry: Registry::new(feed.epoch, last),
            wake: Notify::new(),
            watched: Notify::new(),
            hinted: Notify::new(),
            connection: Mutex::new(Some(connection)),
            readers: Semaphore::new(usize::try_from(readers).unwrap_or(1)),
            lag_millis: AtomicU64::new(0),
            overflows: AtomicU64::new(0),
            read_at: StdMutex::new(Instant::now()),
            is_in_doubt: AtomicBool::new(false),
        })
    }

    /// Adds an inbox that receives every change from now on, and returns it with the feed's epoch.
    pub(super) fn add(&self, interest: Interest) -> (Arc<Inbox>, Uuid) {
        let added = self.registry.add(interest);
        self.watched.notify_one();
        added
    }

    /// Hints that something was committed.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// The sender of the notifications of this server.
    pub fn instance(&self) -> Uuid {
        self.instance
    }

    /// Waits for a notification of another server that something was committed.
    pub async fn hint(&self) {
        self.hinted.notified().await;
    }

    /// Polls the feed until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let (mut monitor, mut backoff) = (Monitor::default(), PollBackoff::new());
        let mut outage = Outage::new("read changes for watches");
        let mut is_hinted = false;
        while !stop.is_cancelled() {
            let read = async {
                let last = self.tick().await?;
                let gap = self.gap_after(&last, is_hinted);
                if std::mem::take(&mut is_hinted) {
                    backoff.expect(last.end);
                }
                self.measure(&mut monitor).await?;
                Ok::<_, StoreError>((gap, backoff.pause(last.horizon)))
            };
            let pauses = outage.record(read.await);
            let (gap, pause) = pauses.unwrap_or((RETRY_PAUSE, Duration::ZERO));
            let hint = async {
                let _watched_or_not = timeout(gap, self.watched.notified()).await;
                timeout(pause, self.wake.notified()).await.is_ok()
            };
            tokio::select! {
                () = stop.cancelled() => {}
                // A hint stays pending if the database fails before it is used.
                hinted = hint => is_hinted |= hinted,
            }
        }
    }

    fn gap_after(&self, last: &Page, is_hinted: bool) -> Duration {
        if self.registry.is_unwatched() {
            UNWATCHED_GAP
        } else if last.changes > 0 {
            GAP
        } else if is_hinted {
            EMPTY_POLL_INTERVAL
        } else {
            Duration::ZERO
        }
    }

    /// Reads everything committed since the last tick and passes it on to the watches concerned. Returns the
    /// last page.
    async fn tick(&self) -> Result<Page, StoreError> {
        let mut connection = self.connection.lock().await;
        if self.is_in_doubt.swap(false, Ordering::Relaxed) {
            *connection = None;
        }
        loop {
            // Put the connection back only after an answer: one with a pending query must not be reused.
            let mut taken = match connection.take() {
                Some(connection) => connection,
                None => in_time(self.pool.connect_alone()).await?,
            };
            let page = in_time(self.page(&mut taken)).await?;
            *connection = Some(taken);
            *self.read_at() = Instant::now();
            if !page.is_full {
                return Ok(page);
            }
        }
    }

    async fn measure(&self, monitor: &mut Monitor) -> Result<(), StoreError> {
        let mut connection = self.connection.lock().await;
        if monitor.is_due()
            && let Some(mut taken) = connection.take()
        {
            self.registry.touch();
            let lag = in_time(monitor.check(&mut taken)).await?;
            let millis = lag.map_or(0, |lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX));
            self.lag_millis.store(millis, Ordering::Relaxed);
            *connection = Some(taken);
        }
        Ok(())
    }

    async fn page(&self, conn: &mut PgConnection) -> Result<Page, StoreError> {
        let feed = open(conn).await?;
        let nothing = Page { changes: 0, is_full: false, horizon: feed.horizon, end: feed.end };
        let position = self.registry.position();
        let is_set_back = position >= feed.end;
        if feed.epoch != self.registry.epoch() || is_set_back {
            warn!("The database was restored or failed over; ending all watches with FEED_RESET");
            let last = feed::feed_last(conn, &feed, feed.expired).await?;
            self.registry.reset(feed.epoch, last);
            return Ok(nothing);
        }
        if self.registry.is_unwatched() {
            let last = feed::feed_last(conn, &feed, position.max(feed.expired)).await?;
            if self.registry.skip_unwatched(last) {
                return Ok(nothing);
            }
        }
        if position < feed.expired {
            let last = feed::feed_last(conn, &feed, feed.expired).await?;
            self.registry.skip_to(last);
            return Ok(nothing);
        }
        let FeedPage { changes, is_full } =
            feed::feed_after(conn, &feed, position, PAGE, PAGE_BYTES).await?;
        let changes: Vec<_> =
            changes.into_iter().map(|change| Arc::new(Change::from(change))).collect();
        if let Some(last) = changes.last() {
            let overflows = self.registry.publish(&changes, last.position);
            self.overflows.fetch_add(overflows, Ordering::Relaxed);
        }
        Ok(Page { changes: changes.len(), is_full, ..nothing })
    }

    /// A view of the database for a watch that reads for itself. Waits while too many others do.
    pub(super) async fn snapshot(&self) -> Result<Snapshot<'_>, StoreError> {
        // The semaphore is never closed, so this always returns a permit.
        let permit = self.readers.acquire().await.ok();
        let mut conn = store::begin_snapshot(&self.pool).await?;
        let feed = feed::feed_get(&mut conn).await?;
        if !feed.is_current || feed.epoch != self.registry.epoch() {
            self.is_in_doubt.store(true, Ordering::Relaxed);
            self.wake();
            return Err(StoreError::AnotherFeed);
        }
        Ok(Snapshot { conn, feed, _permit: permit })
    }

    /// Age of the oldest change that watches may not have received: because of an open transaction, measured
    /// every second, or because the database does not answer.
    pub fn lag(&self) -> Option<Duration> {
        let held_back = Duration::from_millis(self.lag_millis.load(Ordering::Relaxed));
        let unread = Some(self.unread()).filter(|unread| *unread > 2 * POLL).unwrap_or_default();
        Some(held_back.max(unread)).filter(|lag| !lag.is_zero())
    }

    /// Whether many changes may have been missed.
    pub(super) fn is_stale(&self) -> bool {
        self.unread() > STALE_AFTER
    }

    /// Whether the database has answered within the last four polls, that is four seconds.
    pub fn is_database_answering(&self) -> bool {
        self.unread() < 4 * POLL
    }

    fn unread(&self) -> Duration {
        self.read_at().elapsed()
    }

    fn read_at(&self) -> MutexGuard<'_, Instant> {
        self.read_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of times that the inbox of a watch overflowed.
    pub fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Relaxed)
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(ANSWER_TIMEOUT, answer).await.unwrap_or(Err(StoreError::TimedOut))
}

/// Reads the feed, and starts a new epoch unless the database is still the one of the current epoch.
async fn open(conn: &mut PgConnection) -> Result<Feed, StoreError> {
    let feed = feed::feed_get(conn).await?;
    if feed.is_current {
        return Ok(feed);
    }
    let mut tx = conn.begin().await?;
    feed::feed_lock(&mut tx).await?;
    feed::feed_renew(&mut tx, Uuid::new_v4()).await?;
    tx.commit().await?;
    info!("Started a new feed epoch: the database is new, was restored or failed over");
    feed::feed_get(conn).await
}
