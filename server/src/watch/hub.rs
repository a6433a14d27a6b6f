//! Reads the feed once for all watches of a server.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::types::Uuid;
use sqlx::{Connection, PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::{Mutex, Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::monitor::Monitor;
use super::poll_backoff::{POLL, PollBackoff};
use super::registry::Registry;
use crate::error_chain::error_chain;
use crate::store::feed::{self, Feed, FeedPosition};
use crate::store::{self, StoreError, listen};

/// From a look that found changes to the next, and while nobody watches. What is committed meanwhile is
/// read and told together, which costs a fraction of what it costs one by one; after a quiet time the hub
/// looks at once.
const GAP: Duration = Duration::from_millis(5);
/// After a look that was hinted at and found nothing, as something holds the feed back or as another hint came
/// for what was found.
const EMPTY_POLL_INTERVAL: Duration = Duration::from_millis(1);
/// How long the hub waits after the database failed.
const PAUSE: Duration = Duration::from_secs(1);
/// A connection that does not answer for so long is given up: its server may be gone.
const ANSWER: Duration = Duration::from_secs(10);
/// Changes that one read returns: they are in memory at once, and may be large.
const PAGE: i64 = 256;
/// Whoever has not read for so long does not know whether there is news.
const STALE_AFTER: Duration = Duration::from_secs(10);
/// Of the pool's connections a quarter may be used by watches, for writers must not wait for them.
const READERS_SHARE: u32 = 4;

/// Tails the feed and hands it to the watches of this server.
#[derive(Debug)]
pub struct Hub {
    pool: PgPool,
    pub(super) registry: Registry,
    wake: Notify,
    hinted: Notify,
    /// Its own, so that it reads on when the pool is exhausted.
    connection: Mutex<Option<PgConnection>>,
    readers: Semaphore,
    lag_millis: AtomicU64,
    overflows: AtomicU64,
    /// When the feed was read last.
    read_at: StdMutex<Instant>,
    /// Somebody has seen another feed than the hub's connection shows.
    is_in_doubt: AtomicBool,
}

/// What a watch reads with: one state of the database, whose feed is the one that the hub knows.
pub(super) struct Snapshot<'h> {
    pub(super) conn: Transaction<'static, Postgres>,
    pub(super) feed: Feed,
    _permit: Option<SemaphorePermit<'h>>,
}

/// What the hub has read at once.
struct Page {
    changes: usize,
    /// There may be more.
    is_full: bool,
    /// The feed's horizon at that time, and its end: what an open transaction holds back is in between.
    horizon: FeedPosition,
    end: FeedPosition,
}

impl Hub {
    /// A hub that knows of every change that is committed from now on.
    pub async fn start(pool: PgPool) -> Result<Self, StoreError> {
        let mut connection = connect(&pool).await?;
        let feed = open(&mut connection).await?;
        let last = feed::feed_last(&mut connection, &feed, feed.expired).await?;
        let readers = pool.options().get_max_connections().div_ceil(READERS_SHARE);
        Ok(Self {
            pool,
            registry: Registry::new(feed.epoch, last),
            wake: Notify::new(),
            hinted: Notify::new(),
            connection: Mutex::new(Some(connection)),
            readers: Semaphore::new(usize::try_from(readers).unwrap_or(1)),
            lag_millis: AtomicU64::new(0),
            overflows: AtomicU64::new(0),
            read_at: StdMutex::new(Instant::now()),
            is_in_doubt: AtomicBool::new(false),
        })
    }

    /// A hint that something was committed.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Ends when another server, or this one, has told that something was committed.
    pub async fn hint(&self) {
        self.hinted.notified().await;
    }

    /// Reads on until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let (mut monitor, mut pace) = (Monitor::default(), PollBackoff::new());
        let mut is_hinted = false;
        while !stop.is_cancelled() {
            let read = async {
                let last = self.tick().await?;
                let gap = match is_hinted {
                    _ if last.changes > 0 => GAP,
                    true if self.registry.is_unwatched() => GAP,
                    true => EMPTY_POLL_INTERVAL,
                    false => Duration::ZERO,
                };
                if std::mem::take(&mut is_hinted) {
                    pace.expect(last.end);
                }
                self.measure(&mut monitor).await?;
                Ok::<_, StoreError>((gap, pace.pause(last.horizon)))
            };
            let (gap, pause) = match read.await {
                Ok(pauses) => pauses,
                Err(error) => {
                    warn!(error = error_chain(&error), "Changes cannot be read");
                    (PAUSE, Duration::ZERO)
                }
            };
            let hint = async {
                tokio::time::sleep(gap).await;
                timeout(pause, self.wake.notified()).await.is_ok()
            };
            tokio::select! {
                () = stop.cancelled() => {}
                // One that was not heeded, as the database failed, still counts.
                hinted = hint => is_hinted |= hinted,
            }
        }
    }

    /// Reads all that was committed since the last time, and hands it to the watches concerned. Returns the
    /// last page.
    async fn tick(&self) -> Result<Page, StoreError> {
        let mut connection = self.connection.lock().await;
        if self.is_in_doubt.swap(false, Ordering::Relaxed) {
            *connection = None;
        }
        loop {
            // The connection is only put back after an answer, so that none is used in a doubtful state.
            let mut taken = match connection.take() {
                Some(connection) => connection,
                None => in_time(connect(&self.pool)).await?,
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
            let lag = in_time(monitor.look(&mut taken)).await?;
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
            warn!("The database was restored or failed over; all watches begin anew");
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
        let changes = feed::feed_after(conn, &feed, position, PAGE).await?;
        let changes: Vec<_> = changes.into_iter().map(Arc::new).collect();
        let is_full = i64::try_from(changes.len()).is_ok_and(|count| count == PAGE);
        if let Some(last) = changes.last() {
            let overflows = self.registry.publish(&changes, last.position);
            self.overflows.fetch_add(overflows, Ordering::Relaxed);
        }
        Ok(Page { changes: changes.len(), is_full, ..nothing })
    }

    /// Passes the hints of other servers on until `stop`.
    pub async fn listen(&self, stop: CancellationToken) {
        let hints = async {
            loop {
                match self.listen_once().await {
                    Ok(never) => match never {},
                    Err(error) => {
                        warn!(error = error_chain(&error), "Cannot listen for hints");
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = hints => {}
        }
    }

    async fn listen_once(&self) -> Result<std::convert::Infallible, StoreError> {
        let mut listener = listen::listen(&self.pool).await?;
        loop {
            // `None` tells of a lost connection, whose hints are lost too.
            let _hint = listener.try_recv().await?;
            self.wake();
            self.hinted.notify_one();
        }
    }

    /// The database for a watch that reads itself; waits its turn.
    pub(super) async fn look(&self) -> Result<Snapshot<'_>, StoreError> {
        // Never closed, so there is always a permit in the end.
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

    /// For how long there may be changes that cannot be shown: because of an open transaction, as it was a
    /// second ago, or because the database does not answer.
    pub fn lag(&self) -> Option<Duration> {
        let held_back = Duration::from_millis(self.lag_millis.load(Ordering::Relaxed));
        let unread = Some(self.unread()).filter(|unread| *unread > 2 * POLL).unwrap_or_default();
        Some(held_back.max(unread)).filter(|lag| !lag.is_zero())
    }

    /// Whether there may be much news that nobody knows of here.
    pub(super) fn is_blind(&self) -> bool {
        self.unread() > STALE_AFTER
    }

    fn unread(&self) -> Duration {
        self.read_at().elapsed()
    }

    fn read_at(&self) -> MutexGuard<'_, Instant> {
        self.read_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often a watch had more to take than is kept for it alone.
    pub fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Relaxed)
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(ANSWER, answer).await.unwrap_or(Err(StoreError::TimedOut))
}

async fn connect(pool: &PgPool) -> Result<PgConnection, StoreError> {
    Ok(PgConnection::connect_with(&pool.connect_options()).await?)
}

/// The feed now, with a new epoch if the database is not what the last one was given to.
async fn open(conn: &mut PgConnection) -> Result<Feed, StoreError> {
    let feed = feed::feed_get(conn).await?;
    if feed.is_current {
        return Ok(feed);
    }
    let mut tx = conn.begin().await?;
    feed::feed_lock(&mut tx).await?;
    feed::feed_renew(&mut tx, Uuid::new_v4()).await?;
    tx.commit().await?;
    info!("The feed begins a new epoch: the database is new, was restored or failed over");
    feed::feed_get(conn).await
}
