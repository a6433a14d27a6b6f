//! Group commit: concurrent calls of one kind share a transaction.
//!
//! A call that finds nothing in progress starts a batch at once. Calls that arrive while it is executed are the
//! next batch, which is executed while the first one is committed. So an idle server adds no delay, and a busy
//! one commits once for many calls. Calls that write in a single statement need no transaction around it.
//!
//! **Invariant:** a call is answered after the commit of its transaction, never before, and each gets its own
//! result. An error of the shared transaction is not shared unless it is the connection's: the calls are
//! repeated, each in a transaction of its own, so that one bad call fails alone. A batch does not wait for locks
//! for more than a second, so that one locked row delays the calls that need it, and no others.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::{PgConnection, Postgres, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::signals::Work;
use super::{AppError, commit};
use crate::store::{self, Pool, StoreError};

/// Maximum number of calls in one transaction.
const BATCH: usize = 256;
/// Maximum size of a batch in bytes: some tens of milliseconds of work.
const BATCH_BYTES: usize = 1024 * 1024;
/// A larger call has a transaction of its own. It would delay the others of its batch.
const LARGE: usize = 256 * 1024;
/// Maximum number of unanswered calls of one kind. It takes well under a second to work through them.
const UNANSWERED: usize = 4_096;
/// Maximum number of batches at the same time: one is executed while another is committed.
const IN_PROGRESS: usize = 2;
/// Maximum number of calls that are repeated alone at the same time. They may wait for locks, and must not take
/// the connections of all others meanwhile.
const ALONE: usize = 4;

/// What a batch does about rows that another transaction has locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Locked {
    /// Leaves out the calls that need them.
    Skip,
    Wait,
}

/// The results of a batch, one for each call. `None` if the call needs a locked row, or the result of another
/// call of the batch: it is repeated in a transaction of its own.
pub(super) type Results<T> = Vec<Option<Result<T, AppError>>>;

/// A call that can share a transaction with others of its kind.
pub(super) trait GroupCall: Send + Sync + 'static {
    type Output: Send + Sync + 'static;

    /// Maximum number of batches that are executed at the same time. One, if they would wait for each other's locks.
    const EXECUTED_AT_ONCE: usize = 1;

    /// Executes the calls. With [`Locked::Wait`], which is only used for single calls, every result is present.
    fn execute(
        conn: &mut PgConnection,
        calls: &[&Self],
        locked: Locked,
    ) -> impl Future<Output = Result<Results<Self::Output>, AppError>> + Send;

    /// Whether a batch with this call needs a transaction. If it writes in a single statement, beginning and ending
    /// one would only add two round trips.
    fn needs_transaction(&self) -> bool {
        true
    }

    /// Approximate size in bytes of a call that is large enough for it to matter.
    fn size(&self) -> usize {
        0
    }

    /// Whether a successful call wrote something.
    fn has_written(_output: &Self::Output) -> bool {
        true
    }

    /// The runs that may be ready for workers after a successful call.
    fn work(output: &Self::Output) -> Work;

    /// Called after the commit of each call that succeeded.
    fn committed(_output: &Self::Output) {}
}

struct Waiting<C: GroupCall> {
    call: C,
    reply: oneshot::Sender<Result<C::Output, AppError>>,
    _place: OwnedSemaphorePermit,
}

struct Queue<C: GroupCall> {
    waiting: Vec<Waiting<C>>,
    is_running: bool,
}

/// Executes calls of one kind in batches.
pub(super) struct GroupCommit<C: GroupCall> {
    shared: Arc<Shared<C>>,
}

struct Shared<C: GroupCall> {
    pool: Pool,
    queue: Mutex<Queue<C>>,
    places: Arc<Semaphore>,
    alone: Semaphore,
    in_progress: Arc<Semaphore>,
    executing: Arc<Semaphore>,
    /// Called once after each commit, with the runs that may be ready for workers.
    signal: Box<dyn Fn(Work) + Send + Sync>,
}

impl<C: GroupCall> GroupCommit<C> {
    /// `signal` is called after each commit, with the runs that may be ready for workers.
    pub(super) fn new(pool: Pool, signal: impl Fn(Work) + Send + Sync + 'static) -> Self {
        let shared = Shared {
            pool,
            queue: Mutex::new(Queue { waiting: Vec::new(), is_running: false }),
            places: Arc::new(Semaphore::new(UNANSWERED)),
            alone: Semaphore::new(ALONE),
            in_progress: Arc::new(Semaphore::new(IN_PROGRESS)),
            executing: Arc::new(Semaphore::new(C::EXECUTED_AT_ONCE)),
            signal: Box::new(signal),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Executes a call. If the caller is dropped before its batch begins, the call is not executed.
    pub(super) async fn call(&self, call: C) -> Result<C::Output, AppError> {
        let place = Arc::clone(&self.shared.places).try_acquire_owned();
        let place = place.map_err(|_full| AppError::Overloaded)?;
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { call, reply, _place: place };
        if waiting.call.size() > LARGE {
            alone(&self.shared, waiting);
        } else {
            self.enqueue(waiting);
        }
        // Without an answer, the batch has panicked.
        answer.await.unwrap_or(Err(AppError::Store(StoreError::Aborted)))
    }

    fn enqueue(&self, waiting: Waiting<C>) {
        let must_start = {
            let mut queue = self.shared.queue();
            queue.waiting.push(waiting);
            !mem::replace(&mut queue.is_running, true)
        };
        if must_start {
            spawn(run(Arc::clone(&self.shared)));
        }
    }
}

impl<C: GroupCall> Shared<C> {
    fn queue(&self) -> MutexGuard<'_, Queue<C>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next batch, without the calls whose callers are gone.
    fn next_batch(&self) -> Vec<Waiting<C>> {
        let mut queue = self.queue();
        queue.waiting.retain(|waiting| !waiting.reply.is_closed());
        let mut bytes = 0;
        let fits = |waiting: &&Waiting<C>| {
            bytes += waiting.call.size();
            bytes <= BATCH_BYTES
        };
        let length = queue.waiting.iter().take(BATCH).take_while(fits).count();
        let batch = queue.waiting.drain(..length).collect::<Vec<_>>();
        queue.is_running = !batch.is_empty();
        batch
    }

    /// Executes calls together, up to the commit if they need a transaction.
    async fn execute(&self, calls: &[&C], locked: Locked) -> Result<Executed<C>, AppError> {
        let mut tx = match locked {
            Locked::Skip if !calls.iter().any(|call| call.needs_transaction()) => {
                let mut conn = self.pool.acquire().await?;
                return Ok(Executed {
                    open: None,
                    results: C::execute(&mut conn, calls, locked).await?,
                });
            }
            Locked::Skip => store::begin_shared(&self.pool).await?,
            Locked::Wait => store::begin_alone(&self.pool).await?,
        };
        let results = C::execute(&mut tx, calls, locked).await?;
        Ok(Executed { open: Some(tx), results })
    }

    /// Commits what the calls have written.
    async fn commit(&self, executed: Executed<C>) -> Result<Results<C::Output>, AppError> {
        let Executed { open, results } = executed;
        let written = || results.iter().flatten().flatten().filter(|it| C::has_written(it));
        let has_written = written().next().is_some();
        match open {
            Some(tx) if has_written => commit(tx).await?,
            // Awaited, so that the connection is free for the next batch.
            Some(tx) => drop(tx.rollback().await),
            None => {}
        }
        if has_written {
            (self.signal)(written().map(C::work).collect());
        }
        results.iter().flatten().flatten().for_each(C::committed);
        Ok(results)
    }
}

/// Calls that were executed.
struct Executed<C: GroupCall> {
    /// Their transaction, unless it is committed.
    open: Option<Transaction<'static, Postgres>>,
    results: Results<C::Output>,
}

/// Whether a repetition of calls that failed before their commit can have another result.
fn is_repeatable(error: &AppError) -> bool {
    !matches!(error, AppError::Store(error) if error.is_unavailable())
}

/// A batch belongs to all its callers, so it does not end with the one that began it.
#[expect(clippy::disallowed_methods, reason = "it ends with the answers of its callers")]
fn spawn(batch: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(batch));
}

/// Starts batches until no call waits.
async fn run<C: GroupCall>(shared: Arc<Shared<C>>) {
    loop {
        // The semaphores are never closed.
        let progress = Arc::clone(&shared.in_progress).acquire_owned().await.ok();
        let execution = Arc::clone(&shared.executing).acquire_owned().await.ok();
        let calls = shared.next_batch();
        if calls.is_empty() {
            return;
        }
        spawn(Batch { calls, progress, execution }.run(Arc::clone(&shared)));
    }
}

/// Calls that are executed together. If this panics, they get an error.
struct Batch<C: GroupCall> {
    calls: Vec<Waiting<C>>,
    progress: Option<OwnedSemaphorePermit>,
    execution: Option<OwnedSemaphorePermit>,
}

impl<C: GroupCall> Batch<C> {
    async fn run(self, shared: Arc<Shared<C>>) {
        let Self { calls, progress, execution } = self;
        let together: Vec<&C> = calls.iter().map(|waiting| &waiting.call).collect();
        let executed = shared.execute(&together, Locked::Skip).await;
        drop(execution);
        let committed = match executed {
            Ok(executed) => shared.commit(executed).await,
            Err(error) if is_repeatable(&error) => Ok(calls.iter().map(|_| None).collect()),
            Err(error) => Err(error),
        };
        drop(progress);
        match committed {
            Ok(results) => {
                for (waiting, result) in calls.into_iter().zip(results) {
                    match result {
                        // The caller may be gone.
                        Some(result) => drop(waiting.reply.send(result)),
                        None => alone(&shared, waiting),
                    }
                }
            }
            // The outcome is unknown.
            Err(error) => answer_all(calls, error),
        }
    }
}

/// Executes a call by itself, beside the next batches.
fn alone<C: GroupCall>(shared: &Arc<Shared<C>>, waiting: Waiting<C>) {
    let shared = Arc::clone(shared);
    spawn(async move {
        // The semaphore is never closed.
        let _turn = shared.alone.acquire().await;
        if waiting.reply.is_closed() {
            return;
        }
        let executed = shared.execute(&[&waiting.call], Locked::Wait).await;
        let committed = match executed {
            Ok(executed) => shared.commit(executed).await,
            Err(error) => Err(error),
        };
        let result = committed.and_then(|mut results| {
            results.pop().flatten().unwrap_or(Err(AppError::Store(StoreError::Aborted)))
        });
        drop(waiting.reply.send(result));
    });
}

fn answer_all<C: GroupCall>(batch: Vec<Waiting<C>>, error: AppError) {
    let error = match error {
        AppError::Store(error) => Arc::new(error),
        _ => Arc::new(StoreError::Aborted),
    };
    for waiting in batch {
        let shared = StoreError::Shared(Arc::clone(&error));
        drop(waiting.reply.send(Err(AppError::Store(shared))));
    }
}
