//! Requests: a message takes room while it arrives and until it is handled, and has to arrive in time.

use std::sync::Arc;
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, BodyDataStream, Bytes};
use futures::stream::{iter, try_unfold};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use super::calls::Call;
use super::frames::Frames;
use super::{Connection, DECODED};
use crate::domain::violation::Violation;
use crate::grpc::MAX_REQUEST_SIZE;
use crate::grpc::status::{invalid, overloaded, too_slow};

/// Messages up to this size take the room of their call.
const TINY: usize = 1024;
/// Messages up to this size take room of calls; the others wait for their own.
const SMALL: usize = 16 * 1024;
/// The window of a call: bytes of a message that may be here before there is room for it.
const WINDOW: usize = 64 * 1024;
/// Maximum time from the first byte of a message to its last, including the wait for room.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum time without a byte of it, while there is little room for others.
const PIECE_TIMEOUT: Duration = Duration::from_secs(5);

struct Reader {
    pieces: BodyDataStream,
    call: Arc<Call>,
    frames: Frames,
    /// Set within a message.
    deadline: Option<Instant>,
    small_room: usize,
    has_large_room: bool,
    /// The last piece had the end of a message.
    has_ended: bool,
}

/// The request, which is read while it is handled.
pub(super) fn bounded_request(body: Body, call: Arc<Call>) -> Body {
    Body::from_stream(try_unfold(Reader::new(body, call), |mut reader| async move {
        Ok::<_, BoxError>(reader.next().await?.map(|piece| (piece, reader)))
    }))
}

/// A request with one message, which was read and is not decoded.
pub(super) struct Received {
    pieces: Vec<Bytes>,
    memory: usize,
}

pub(super) async fn received_request(body: Body, call: Arc<Call>) -> Result<Received, Status> {
    let mut reader = Reader::new(body, call);
    let (mut pieces, mut received) = (Vec::new(), None);
    while let Some((piece, ended)) = reader.read().await.map_err(Status::from_error)? {
        if received.is_some() && !piece.is_empty() {
            return Err(invalid(vec![Violation::new("request", "has more than one message")]));
        }
        received = received.max(ended);
        pieces.push(piece);
    }
    Ok(Received { pieces, memory: received.unwrap_or_default() })
}

impl Received {
    /// The body, when it may be decoded.
    pub(super) async fn decodable(self, call: &Call) -> Result<Body, Status> {
        wait_to_decode(call, self.memory).await.map_err(Status::from_error)?;
        Ok(Body::from_stream(iter(self.pieces).map(Ok::<_, BoxError>)))
    }
}

impl Reader {
    fn new(body: Body, call: Arc<Call>) -> Self {
        Self {
            pieces: body.into_data_stream(),
            call,
            frames: Frames::START,
            deadline: None,
            small_room: 0,
            has_large_room: false,
            has_ended: false,
        }
    }

    /// The next piece, when its messages may be decoded. The caller has handled all that ended in earlier ones.
    async fn next(&mut self) -> Result<Option<Bytes>, BoxError> {
        let Some((piece, ended)) = self.read().await? else { return Ok(None) };
        wait_to_decode(&self.call, ended.unwrap_or_default()).await?;
        Ok(Some(piece))
    }

    /// The next piece, and the memory of the largest message that ends in it.
    async fn read(&mut self) -> Result<Option<(Bytes, Option<usize>)>, BoxError> {
        if self.has_ended && self.call.method.forgets_messages() {
            self.call.forget_large();
            self.has_large_room = false;
        }
        let piece = match self.deadline {
            None => self.pieces.try_next().await?,
            Some(deadline) => {
                self.wait_for_room(deadline).await?;
                self.next_piece(deadline).await?
            }
        };
        let Some(piece) = piece else { return Ok(None) };
        let ended = self.add(&piece)?;
        // The header of a message is passed on when there is room for it: tonic allocates its length at once.
        if let Some(deadline) = self.deadline {
            self.wait_for_room(deadline).await?;
        }
        Ok(Some((piece, ended)))
    }

    /// A message that has room has to go on arriving while others may wait for room.
    async fn next_piece(&mut self, deadline: Instant) -> Result<Option<Bytes>, BoxError> {
        while Instant::now() < deadline {
            let end = deadline.min(Instant::now() + PIECE_TIMEOUT);
            if let Ok(piece) = timeout_at(end, self.pieces.try_next()).await {
                return Ok(piece?);
            }
            let free = self.call.connection.flow.all.requests.available_permits();
            if self.has_large_room && free < MAX_REQUEST_SIZE {
                return Err(too_slow(PIECE_TIMEOUT).into());
            }
        }
        Err(too_slow(MESSAGE_TIMEOUT).into())
    }

    fn add(&mut self, piece: &Bytes) -> Result<Option<usize>, BoxError> {
        let ended = self.frames.add(piece);
        self.has_ended = ended.is_some();
        if self.frames.is_between() {
            self.deadline = None;
        } else if self.has_ended || self.deadline.is_none() {
            self.deadline = Some(Instant::now() + MESSAGE_TIMEOUT);
        }
        self.take_small_room(ended.unwrap_or_default())?;
        Ok(ended)
    }

    /// The first piece of a message is here, so it cannot wait for room.
    fn take_small_room(&mut self, ended: usize) -> Result<(), BoxError> {
        let coming = self.frames.memory();
        let unread = if coming > SMALL { SMALL + WINDOW } else { coming.max(ended).min(SMALL) };
        if unread > self.small_room.max(TINY) {
            self.call.keep_small(self.call.more_room(unread - self.small_room)?);
            self.small_room = unread;
        }
        Ok(())
    }

    async fn wait_for_room(&mut self, deadline: Instant) -> Result<(), BoxError> {
        let memory = self.frames.memory();
        if memory <= SMALL || self.has_large_room {
            return Ok(());
        }
        let Connection { own, flow } = &*self.call.connection;
        for room in [&own.requests, &flow.all.requests] {
            wait(&self.call, room, memory, deadline).await?;
        }
        self.has_large_room = true;
        Ok(())
    }
}

/// Few large messages are decoded and handled at a time: decoding multiplies their size.
async fn wait_to_decode(call: &Call, memory: usize) -> Result<(), BoxError> {
    if memory <= SMALL {
        return Ok(());
    }
    let deadline = Instant::now() + MESSAGE_TIMEOUT;
    wait(call, &call.connection.flow.decoded, memory.min(DECODED), deadline).await
}

async fn wait(
    call: &Call,
    room: &Arc<Semaphore>,
    bytes: usize,
    deadline: Instant,
) -> Result<(), BoxError> {
    let no_room = || overloaded("too many large requests are in progress");
    let count = u32::try_from(bytes).unwrap_or(u32::MAX);
    let taken = timeout_at(deadline, Arc::clone(room).acquire_many_owned(count)).await;
    call.keep_large(taken.map_err(|_| no_room())?.map_err(|_| no_room())?);
    Ok(())
}
