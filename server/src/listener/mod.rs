//! Listening sockets whose clients cannot use up the descriptors of the process.
//!
//! - The number of connections is limited. At the limit the oldest connection that has said nothing yet makes
//!   room; otherwise a new one is closed at once, so that its client tries another server.
//! - The number of connections of one other address is limited as well.
//! - A connection that says nothing is closed after [`Patience::time`]. A handshake of TLS ends within this time.
//! - If a connection cannot be accepted, the next try follows after a pause.

mod addresses;
mod age;
mod bind;
mod connection;
mod peer;
mod settings_flood;
mod tls;
mod transport;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{sleep, timeout};
use windrow_worker::Outage;

use self::addresses::Addresses;
use self::age::Age;
use self::connection::Place;
pub(crate) use self::connection::{Connection, Patience};
pub(crate) use self::peer::Peer;
pub use self::tls::TlsError;
pub(crate) use self::tls::{Protocol, Tls};
use self::transport::Transport;

/// Pause after an error. At this rate errors cost nothing, and clients notice no delay.
const ERROR_PAUSE: Duration = Duration::from_millis(100);
/// Connections are accepted again if this time passes without a failure.
const QUIET: Duration = Duration::from_mins(1);
/// Time for an evicted connection to close.
const EVICTION_TIMEOUT: Duration = Duration::from_millis(500);

/// One or more sockets, accepting as one.
#[derive(Debug)]
pub(crate) struct Listener {
    sockets: Vec<TcpListener>,
    /// The socket to look at first, so that one cannot starve the others.
    next: usize,
    gate: Gate,
    outage: Outage,
    counts: Arc<Counts>,
    tls: Option<(Arc<Tls>, Protocol)>,
    addresses: Addresses,
    max_age: Option<Duration>,
}

/// The reason why a connection is refused.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} connections are open, the limit of this process; raise its limit on open files (ulimit -n) if these are \
     all needed"
)]
struct Full(usize);

/// Counts for metrics.
#[derive(Debug)]
pub(crate) struct Counts {
    slots: Arc<Semaphore>,
    limit: usize,
    refused: AtomicU64,
    refused_of_address: AtomicU64,
    aged: AtomicU64,
    errors: AtomicU64,
}

impl Counts {
    fn new(slots: Arc<Semaphore>, limit: usize) -> Self {
        let zero = || AtomicU64::new(0);
        let (refused, refused_of_address, aged, errors) = (zero(), zero(), zero(), zero());
        Self { slots, limit, refused, refused_of_address, aged, errors }
    }

    pub(crate) fn open(&self) -> usize {
        self.limit.saturating_sub(self.slots.available_permits())
    }

    /// Connections closed at the limit.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Connections closed at the limit of their address.
    pub(crate) fn refused_of_address(&self) -> u64 {
        self.refused_of_address.load(Ordering::Relaxed)
    }

    /// Connections that have reached the maximum age.
    pub(crate) fn aged(&self) -> u64 {
        self.aged.load(Ordering::Relaxed)
    }

    /// Failures to accept a connection.
    pub(crate) fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }
}

impl Listener {
    pub(crate) fn new(sockets: Vec<TcpListener>, limit: usize, patience: Patience) -> Self {
        let slots = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
        let counts = Counts::new(Arc::clone(&slots), limit);
        Self {
            sockets,
            next: 0,
            gate: Gate { slots, limit, silent: VecDeque::new(), patience },
            outage: Outage::new("accept a connection"),
            counts: Arc::new(counts),
            tls: None,
            addresses: Addresses::new(usize::MAX),
            max_age: None,
        }
    }

    /// Limits the connections of each other address, and the age of all.
    pub(crate) fn with_limits(self, per_address: u32, max_age: Option<Duration>) -> Self {
        let limit = usize::try_from(per_address).unwrap_or(usize::MAX);
        Self { addresses: Addresses::new(limit), max_age, ..self }
    }

    /// Accepts TLS only, if there is one.
    pub(crate) fn with_tls(self, tls: Option<&Arc<Tls>>, protocol: Protocol) -> Self {
        Self { tls: tls.map(|tls| (Arc::clone(tls), protocol)), ..self }
    }

    pub(crate) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// The address of the first socket.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.sockets.first().ok_or(io::ErrorKind::NotConnected)?.local_addr()
    }

    /// The addresses of the other sockets.
    pub(crate) fn other_addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().skip(1).filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// The next connection. Cancel-safe.
    pub(crate) async fn accept(&mut self) -> Connection {
        loop {
            match poll_fn(|context| self.poll_accept(context)).await {
                Ok((socket, address)) => {
                    if let Some(place) = self.admit(address).await {
                        self.outage.settle(QUIET);
                        return self.connection(socket, Peer::new(address), place);
                    }
                }
                Err(error) if is_of_client(&error) => {}
                Err(error) => self.failed(&error).await,
            }
        }
    }

    /// `None` at a limit.
    async fn admit(&mut self, address: SocketAddr) -> Option<Place> {
        let of_address = match self.addresses.admit(address.ip()) {
            Ok(counted) => counted,
            Err(error) => {
                self.counts.refused_of_address.fetch_add(1, Ordering::Relaxed);
                self.outage.failed(&error);
                return None;
            }
        };
        let slot = self.gate.admit().await;
        if slot.is_none() {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
            self.outage.failed(&Full(self.counts.limit));
        }
        Some(Place { _slot: slot?, _of_address: of_address })
    }

    fn connection(&mut self, socket: TcpStream, peer: Peer, place: Place) -> Connection {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "Failed to set TCP_NODELAY");
        }
        let transport = match &self.tls {
            Some((tls, protocol)) => {
                Transport::tls(socket, tls, *protocol, Arc::clone(&peer.certificate))
            }
            None => Transport::Plain(socket),
        };
        let evicted = self.gate.silent_connection();
        let age = self.max_age.map(|limit| Age::new(limit, Arc::clone(&self.counts)));
        Connection::new(transport, peer, place, self.gate.patience, evicted).with_age(age)
    }

    fn poll_accept(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let count = self.sockets.len();
        for index in (self.next..count).chain(0..self.next) {
            if let Some(socket) = self.sockets.get(index)
                && let Poll::Ready(accepted) = socket.poll_accept(context)
            {
                self.next = (index + 1) % count;
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }

    async fn failed(&mut self, error: &io::Error) {
        self.counts.errors.fetch_add(1, Ordering::Relaxed);
        self.outage.failed(error);
        // A descriptor for the next one.
        self.gate.evict();
        sleep(ERROR_PAUSE).await;
    }
}

/// The slots of connections.
#[derive(Debug)]
struct Gate {
    slots: Arc<Semaphore>,
    limit: usize,
    /// To close connections that have said nothing yet, oldest first. Also contains some that have ended or have
    /// spoken.
    silent: VecDeque<oneshot::Sender<()>>,
    patience: Patience,
}

impl Gate {
    async fn admit(&mut self) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Some(slot);
        }
        if !self.evict() {
            return None;
        }
        timeout(EVICTION_TIMEOUT, Arc::clone(&self.slots).acquire_owned()).await.ok()?.ok()
    }

    /// Closes the oldest silent connection.
    fn evict(&mut self) -> bool {
        while let Some(oldest) = self.silent.pop_front() {
            if oldest.send(()).is_ok() {
                return true;
            }
        }
        false
    }

    /// Remembers a new connection. The returned end says when it has to make room.
    fn silent_connection(&mut self) -> oneshot::Receiver<()> {
        if self.silent.len() > self.limit.saturating_mul(2) {
            self.silent.retain(|evict| !evict.is_closed());
        }
        let (evict, evicted) = oneshot::channel();
        self.silent.push_back(evict);
        evicted
    }
}

/// Errors of a connection that was closed before it was accepted.
fn is_of_client(error: &io::Error) -> bool {
    let of_client = [
        Errno::CONNABORTED,
        Errno::CONNRESET,
        Errno::INTR,
        Errno::NETDOWN,
        Errno::PROTO,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::NETUNREACH,
    ];
    Errno::from_io_error(error).is_some_and(|errno| of_client.contains(&errno))
}

#[cfg(test)]
mod tests;
