//! Group commit: concurrent calls of one kind share a transaction.
//!
//! A call that finds nothing in progress starts a batch at once. Calls that arrive while it is committed are the
//! next batch. So an idle server adds no delay, and a busy one commits once for many calls.
//!
//! **Invariant:** a call is answered after the commit of its transaction, never before, and each gets its own
//! result. An error of the shared transaction is not shared unless it is the connection's: the calls are
//! repeated, each in a transaction of its own, so that one bad call fails alone.

use std::future::Future;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::{PgConnection, PgPool};
use tokio::sync::oneshot;

use super::{AppError, commit};
use crate::store::{self, StoreError};

/// Maximum number of calls in one transaction.
const BATCH: usize = 256;
/// Maximum number of waiting calls of one kind. It takes well under a second to work through them.
const WAITING: usize = 4_096;

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
    type Output: Send + 'static;

    /// Executes the calls. With [`Locked::Wait`], which is only used for single calls, every result is present.
    fn execute(
        conn: &mut PgConnection,
        calls: &[&Self],
        locked: Locked,
    ) -> impl Future<Output = Result<Results<Self::Output>, AppError>> + Send;

    /// Whether a successful call wrote something.
    fn has_written(_output: &Self::Output) -> bool {
        true
    }

    /// Called after the commit of each call that succeeded.
    fn committed(_output: &Self::Output) {}
}

struct Waiting<C: GroupCall> {
    call: C,
    reply: oneshot::Sender<Result<C::Output, AppError>>,
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
    pool: PgPool,
    queue: Mutex<Queue<C>>,
    /// Called once after each commit.
    signal: Box<dyn Fn() + Send + Sync>,
}

impl<C: GroupCall> GroupCommit<C> {
    /// `signal` is called after each commit.
    pub(super) fn new(pool: PgPool, signal: impl Fn() + Send + Sync + 'static) -> Self {
        let queue = Mutex::new(Queue { waiting: Vec::new(), is_running: false });
        Self { shared: Arc::new(Shared { pool, queue, signal: Box::new(signal) }) }
    }

    /// Executes a call. If the caller is dropped before its batch begins, the call is not executed.
    pub(super) async fn call(&self, call: C) -> Result<C::Output, AppError> {
        let (reply, answer) = oneshot::channel();
        let must_start = {
            let mut queue = self.shared.queue();
            if queue.waiting.len() >= WAITING {
                return Err(AppError::Overloaded);
            }
            queue.waiting.push(Waiting { call, reply });
            !mem::replace(&mut queue.is_running, true)
        };
        if must_start {
            spawn(run(Running(Arc::clone(&self.shared))));
        }
        // Without an answer, the batch has panicked.
        answer.await.unwrap_or(Err(AppError::Store(StoreError::Aborted)))
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
        let length = queue.waiting.len().min(BATCH);
        let batch = queue.waiting.drain(..length).collect::<Vec<_>>();
        queue.is_running = !batch.is_empty();
        batch
    }

    /// Executes calls in one transaction.
    async fn execute(&self, calls: &[&C], locked: Locked) -> Result<Results<C::Output>, Failed> {
        let before_commit = |error| Failed { error, is_committing: false };
        let mut tx =
            store::begin(&self.pool).await.map_err(AppError::from).map_err(before_commit)?;
        let results = C::execute(&mut tx, calls, locked).await.map_err(before_commit)?;
        if results.iter().flatten().flatten().any(C::has_written) {
            commit(tx).await.map_err(|error| Failed { error, is_committing: true })?;
            (self.signal)();
        } else {
            // Awaited, so that the calls that arrive meanwhile form one batch.
            drop(tx.rollback().await);
        }
        results.iter().flatten().flatten().for_each(C::committed);
        Ok(results)
    }
}

/// The error of a transaction.
struct Failed {
    error: AppError,
    /// The outcome of the commit is unknown.
    is_committing: bool,
}

impl Failed {
    /// Whether the calls may be repeated, and a repetition can have another result.
    fn is_repeatable(&self) -> bool {
        let is_unavailable =
            matches!(&self.error, AppError::Store(error) if error.is_unavailable());
        !self.is_committing && !is_unavailable
    }
}

/// Lets the next call start a new batch, even after a panic.
struct Running<C: GroupCall>(Arc<Shared<C>>);

impl<C: GroupCall> Drop for Running<C> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut queue = self.0.queue();
            queue.is_running = false;
            // Their callers get an error.
            queue.waiting.clear();
        }
    }
}

/// A batch belongs to all its callers, so it does not end with the one that began it.
#[expect(clippy::disallowed_methods, reason = "it ends with the answers of its callers")]
fn spawn(batch: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(batch));
}

async fn run<C: GroupCall>(running: Running<C>) {
    let shared = &running.0;
    loop {
        let batch = shared.next_batch();
        if batch.is_empty() {
            return;
        }
        let calls: Vec<&C> = batch.iter().map(|waiting| &waiting.call).collect();
        match shared.execute(&calls, Locked::Skip).await {
            Ok(results) => {
                for (waiting, result) in batch.into_iter().zip(results) {
                    match result {
                        // The caller may be gone.
                        Some(result) => drop(waiting.reply.send(result)),
                        None => alone(shared, waiting),
                    }
                }
            }
            Err(failed) if failed.is_repeatable() => {
                for waiting in batch {
                    alone(shared, waiting);
                }
            }
            Err(failed) => answer_all(batch, failed.error),
        }
    }
}

/// Executes a call in a transaction of its own, beside the next batches.
fn alone<C: GroupCall>(shared: &Arc<Shared<C>>, waiting: Waiting<C>) {
    let shared = Arc::clone(shared);
    spawn(async move {
        let executed = shared.execute(&[&waiting.call], Locked::Wait).await;
        let result = executed.map_err(|failed| failed.error).and_then(|mut results| {
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
