//! Turns of calls that read from the database. They use a part of its connections, so that no client takes all of
//! them from the loops of the server. A call ends its turn when its response is encoded, so that few pages are decoded
//! at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tonic::Status;

use super::Connection;
use super::method::Method;
use super::unread::Unread;
use crate::grpc::CallLimits;
use crate::grpc::status::overloaded;

/// Maximum wait for a turn.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Number of calls that read at the same time: for half of the database connections.
pub(super) fn in_all(limits: CallLimits) -> usize {
    usize::try_from(limits.database_connections / 2).unwrap_or(1).max(1)
}

/// The same for one connection.
pub(super) fn of_connection(limits: CallLimits) -> usize {
    (in_all(limits) / 2).max(1)
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
        let late = || overloaded("too many calls that read are in progress; try again later");
        timeout(TIMEOUT, self.wait_for_turn(method)).await.unwrap_or_else(|_| Err(late()))
    }

    async fn wait_for_turn(&self, method: Method) -> Result<Turn, Status> {
        let own = acquire(&self.own.turns).await?;
        let answers = method.is_unary().then_some([&self.own.answers, &self.flow.all.answers]);
        loop {
            // Without a turn of all, or a client that does not read would stop the others.
            for unread in answers.into_iter().flatten() {
                Unread::wait(Arc::clone(unread)).await;
            }
            let all = acquire(&self.flow.all.turns).await?;
            if answers.into_iter().flatten().all(|unread| unread.has_room()) {
                return Ok(Turn { _own: own, _all: all });
            }
        }
    }
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

    use super::super::Flow;
    use super::*;

    const LIMITS: CallLimits =
        CallLimits { watches: 10_000, watches_per_client: 1_000, database_connections: 16 };

    #[tokio::test]
    async fn a_connection_leaves_turns_to_others_and_reading_leaves_connections_to_the_server() {
        let flow = Flow::new(LIMITS);
        let of = |port: u16| flow.connection(Some(([127, 0, 0, 1], port).into()));
        let take = |connection: &Arc<Connection>| {
            let turns = (0..16).map_while(|_| connection.turn(Method::Read).now_or_never());
            turns.collect::<Result<Vec<_>, _>>().unwrap()
        };
        let connections = [of(1), of(2), of(3)];
        let taken: Vec<_> = connections.iter().map(take).collect();
        assert_eq!(taken.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 0]);
        drop(taken);
        assert_eq!(take(&connections[2]).len(), 4);
    }
}
