//! Counts of bytes that were made and that clients have not read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Bytes;
use tokio::sync::Notify;

#[derive(Debug)]
pub(super) struct Unread {
    limit: usize,
    bytes: AtomicUsize,
    room: Notify,
}

/// Bytes that count until this is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    bytes: usize,
    unread: [Arc<Unread>; 2],
}

/// Bytes with a value that lives until they are sent or dropped.
struct Kept<T> {
    bytes: Bytes,
    _value: T,
}

/// The bytes, which keep the value until HTTP/2 has sent or dropped them.
pub(super) fn keeping<T: Send + 'static>(bytes: Bytes, value: T) -> Bytes {
    Bytes::from_owner(Kept { bytes, _value: value })
}

impl<T> AsRef<[u8]> for Kept<T> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Unread {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, bytes: AtomicUsize::new(0), room: Notify::new() }
    }

    pub(super) fn has_room(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) < self.limit
    }

    /// Whether there is no room, even for a response that could not wait for it.
    pub(super) fn is_overfull(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= 2 * self.limit
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) == 0
    }

    pub(super) async fn wait(self: Arc<Self>) {
        loop {
            // Register before looking, or room that is made in between would be missed.
            let room = self.room.notified();
            if self.has_room() {
                return;
            }
            room.await;
        }
    }

    fn remove(&self, bytes: usize) {
        let before = self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if before >= self.limit && before - bytes < self.limit {
            self.room.notify_waiters();
        }
    }
}

impl Counted {
    pub(super) fn new(bytes: usize, unread: [&Arc<Unread>; 2]) -> Self {
        for unread in unread {
            unread.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        Self { bytes, unread: unread.map(Arc::clone) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        for unread in &self.unread {
            unread.remove(self.bytes);
        }
    }
}
