//! Requests: a large message is read only when there is room for it, and has to arrive in time.

use std::sync::Arc;
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, BodyDataStream, Bytes};
use futures::TryStreamExt;
use futures::stream::try_unfold;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::Connection;
use super::frames::Frames;
use crate::grpc::status::{overloaded, too_slow};

/// Messages up to this size need no room: the number of calls of a connection bounds them.
const SMALL: usize = 16 * 1024;
/// Maximum time from the first byte of a message to its last, including the wait for room.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);

struct Reader {
    pieces: BodyDataStream,
    connection: Arc<Connection>,
    frames: Frames,
    /// Set within a message.
    deadline: Option<Instant>,
    /// Held while a large message is read and handled.
    room: Vec<OwnedSemaphorePermit>,
    /// The last piece had the end of a message.
    has_ended: bool,
}

pub(super) fn bounded_request(body: Body, connection: Arc<Connection>) -> Body {
    let reader = Reader {
        pieces: body.into_data_stream(),
        connection,
        frames: Frames::START,
        deadline: None,
        room: Vec::new(),
        has_ended: false,
    };
    Body::from_stream(try_unfold(reader, |mut reader| async move {
        Ok::<_, BoxError>(reader.next().await?.map(|piece| (piece, reader)))
    }))
}

impl Reader {
    /// The next piece. The caller has handled all messages that ended in earlier ones.
    async fn next(&mut self) -> Result<Option<Bytes>, BoxError> {
        if self.has_ended {
            self.room.clear();
        }
        let piece = match self.deadline {
            None => self.pieces.try_next().await?,
            Some(deadline) => {
                self.take_room(deadline).await?;
                let piece = timeout_at(deadline, self.pieces.try_next());
                piece.await.map_err(|_| too_slow(MESSAGE_TIMEOUT))??
            }
        };
        if let Some(piece) = &piece {
            self.has_ended = self.frames.add(piece);
            if self.frames.is_between() {
                self.deadline = None;
            } else if self.has_ended || self.deadline.is_none() {
                self.deadline = Some(Instant::now() + MESSAGE_TIMEOUT);
            }
        }
        Ok(piece)
    }

    async fn take_room(&mut self, deadline: Instant) -> Result<(), BoxError> {
        let memory = self.frames.memory();
        if memory <= SMALL || !self.room.is_empty() {
            return Ok(());
        }
        let count = u32::try_from(memory).unwrap_or(u32::MAX);
        let no_room = || overloaded("too many large requests are in progress");
        for semaphore in &self.connection.requests {
            let room = timeout_at(deadline, Arc::clone(semaphore).acquire_many_owned(count)).await;
            self.room.push(room.map_err(|_| no_room())?.map_err(|_| no_room())?);
        }
        Ok(())
    }
}
