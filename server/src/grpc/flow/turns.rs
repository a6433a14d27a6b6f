//! Turns of calls that use the database. Those that read have a part of its connections, so that no client takes all of
//! them from the loops of the server. A call begins its turn when there is room for its response, and ends it when the
//! response is encoded and counted: so few responses are made at a time, and a change is refused before it is made.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tonic::Status;

use super::method::Method;
use super::unread::Unread;
use super::{Bounds, Connection};
use crate::grpc::CallLimits;
use crate::grpc::status::overloaded;

/// Maximum wait for a turn.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Number of calls that change something at the same time: they share transactions, of which two are in progress.
pub(super) const CHANGES: usize = 512;
pub(super) const CHANGES_OF_CONNECTION: usize = CHANGES / 2;

/// Number of calls that read at the same time: for half of the database connections.
pub(super) fn reads(limits: CallLimits) -> usize {
    usize::try_from(limits.database_connections / 2).unwrap_or(1).max(1)
}

/// The same for one connection.
pub(super) fn reads_of_connection(limits: CallLimits) -> usize {
    (reads(limits) / 2).max(1)
}

/// Number of exports in progress, each of which has two pages in memory.
pub(super) const EXPORTS: usize = 8;
pub(super) const EXPORTS_OF_CONNECTION: usize = 4;

/// Ends when it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Connection {
    /// Waits for a turn and, if the method has one response, for room for it.
    pub(super) async fn turn(&self, method: Method) -> Result<Turn, Status> {
        let late = || overloaded("too many calls of this kind are in progress; try again later");
        timeout(TIMEOUT, self.wait_for_turn(method)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn wait_for_turn(&self, method: Method) -> Result<Turn, Status> {
        let own = acquire(turns(&self.own, method)).await?;
        let answers = method.is_unary().then_some([&self.own.answers, &self.flow.all.answers]);
        loop {
            // Without a turn of all, or a client that does not read would stop the others.
            for unread in answers.into_iter().flatten() {
                Unread::wait(Arc::clone(unread)).await;
            }
            let all = acquire(turns(&self.flow.all, method)).await?;
            if answers.into_iter().flatten().all(|unread| unread.has_room()) {
                return Ok(Turn { _own: own, _all: all });
            }
        }
    }
}

fn turns(bounds: &Bounds, method: Method) -> &Arc<Semaphore> {
    if method.reads() { &bounds.reads } else { &bounds.changes }
}

impl Connection {
    /// A turn that an export has until it ends.
    pub(super) fn export(&self) -> Result<Turn, Status> {
        let take = |exports: &Arc<Semaphore>| {
            let turn = Arc::clone(exports).try_acquire_owned();
            turn.map_err(|_| overloaded("too many exports are in progress; try again later"))
        };
        Ok(Turn { _own: take(&self.own.exports)?, _all: take(&self.flow.all.exports)? })
    }
}

async fn acquire(turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Status> {
    // These semaphores are never closed.
    let turn = Arc::clone(turns).acquire_owned().await;
    turn.map_err(|_| overloaded("the server takes no more calls"))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::task::unconstrained;

    use super::super::unread::Counted;
    use super::super::{ANSWERS_OF_CONNECTION, Flow};
    use super::*;

    const LIMITS: CallLimits = CallLimits {
        watches: 10_000,
        watches_per_client: 1_000,
        database_connections: 16,
        connection_age: None,
    };

    fn take(connection: &Arc<Connection>, method: Method) -> Vec<Turn> {
        let turn = |_| unconstrained(connection.turn(method)).now_or_never();
        let turns = (0..1_000).map_while(turn);
        turns.collect::<Result<_, _>>().unwrap()
    }

    #[tokio::test]
    async fn a_connection_leaves_turns_to_others_and_reading_leaves_connections_to_the_server() {
        let flow = Flow::new(LIMITS);
        let of = |port: u16| flow.connection(Some(([127, 0, 0, 1], port).into()));
        let connections = [of(1), of(2), of(3)];
        let read = |connection| take(connection, Method::Read);
        let taken: Vec<_> = connections.iter().map(read).collect();
        assert_eq!(taken.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 0]);
        assert_eq!(take(&connections[0], Method::Change).len(), CHANGES_OF_CONNECTION);
        drop(taken);
        assert_eq!(read(&connections[2]).len(), 4);
    }

    #[tokio::test]
    async fn a_change_waits_for_room_for_its_response_before_it_is_made() {
        let flow = Flow::new(LIMITS);
        let connection = flow.connection(None);
        let answers = [&connection.own.answers, &flow.all.answers];
        let unread = Counted::new(ANSWERS_OF_CONNECTION, answers);
        for method in [Method::Change, Method::Finish, Method::Read] {
            assert!(connection.turn(method).now_or_never().is_none(), "{method:?}");
        }
        drop(unread);
        assert!(connection.turn(Method::Change).now_or_never().is_some());
    }
}
