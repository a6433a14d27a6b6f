//! The bytes of a connection: plain, or with TLS after a handshake.

use std::fmt;
use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use super::tls::{ClientCertificate, Protocol, Tls};

/// Bytes of a handshake from a client. A chain of large certificates takes some thousands.
const HANDSHAKE_MAX: usize = 32 * 1024;
/// Encrypted bytes that wait for a client to read. The buffer of the socket comes on top, as without TLS.
const UNSENT_MAX: usize = 16 * 1024;

pub(super) enum Transport {
    Plain(TcpStream),
    Handshake(Box<Handshake>),
    Tls(Box<TlsStream<Wire>>),
    /// The handshake has failed, or the connection was shut down within it.
    Ended,
}

pub(super) struct Handshake {
    accept: Accept<Wire>,
    tls: Arc<Tls>,
    /// The place for the client's certificate.
    certificate: Arc<OnceLock<ClientCertificate>>,
}

/// A socket that limits the bytes of the handshake.
#[derive(Debug)]
pub(super) struct Wire {
    socket: TcpStream,
    /// `None` after the handshake.
    left: Option<usize>,
}

impl Transport {
    /// TLS on a socket, with the certificate that is in effect now.
    pub(super) fn tls(
        socket: TcpStream,
        tls: &Arc<Tls>,
        protocol: Protocol,
        certificate: Arc<OnceLock<ClientCertificate>>,
    ) -> Self {
        let wire = Wire { socket, left: Some(HANDSHAKE_MAX) };
        let acceptor = TlsAcceptor::from(tls.config(protocol));
        let accept = acceptor.accept_with(wire, |tls| tls.set_buffer_limit(Some(UNSENT_MAX)));
        Self::Handshake(Box::new(Handshake { accept, tls: Arc::clone(tls), certificate }))
    }

    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Tls(_) => true,
            Self::Handshake(_) | Self::Ended => false,
        }
    }

    /// Completes the handshake.
    pub(super) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let accepted = match self {
            Self::Plain(_) | Self::Tls(_) => return Poll::Ready(Ok(())),
            Self::Ended => return Poll::Ready(Err(ended())),
            Self::Handshake(handshake) => ready!(handshake.poll(context)),
        };
        match accepted {
            Ok(stream) => {
                *self = Self::Tls(Box::new(stream));
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                *self = Self::Ended;
                Poll::Ready(Err(error))
            }
        }
    }

    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Handshake(_) | Self::Ended => Poll::Ready(Err(ended())),
        }
    }

    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Handshake(_) | Self::Ended => Poll::Ready(Err(ended())),
        }
    }

    pub(super) fn poll_write_vectored(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Handshake(_) | Self::Ended => Poll::Ready(Err(ended())),
        }
    }

    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Handshake(_) | Self::Ended => Poll::Ready(Err(ended())),
        }
    }

    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Handshake(_) | Self::Ended => {
                *self = Self::Ended;
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl Handshake {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<TlsStream<Wire>>> {
        let accepted = ready!(Pin::new(&mut self.accept).poll(context));
        Poll::Ready(match accepted {
            Ok(stream) => Ok(self.completed(stream)),
            Err(error) => Err(self.failed(error)),
        })
    }

    fn completed(&self, mut stream: TlsStream<Wire>) -> TlsStream<Wire> {
        let (wire, session) = stream.get_mut();
        wire.left = None;
        if let Some(certificate) = session.peer_certificates().and_then(<[_]>::first) {
            let certificate = ClientCertificate::read(certificate);
            tracing::debug!(client = %certificate, "Verified the certificate of a client");
            self.certificate.get_or_init(|| certificate);
        }
        stream
    }

    fn failed(&self, error: io::Error) -> io::Error {
        // A client that goes away is no failure, for example a check whether the port is open.
        let is_gone = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset];
        if !is_gone.contains(&error.kind()) {
            self.tls.count_failed_handshake();
        }
        tracing::debug!(%error, "A TLS handshake failed");
        error
    }
}

fn ended() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl fmt::Debug for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Handshake(_) => "Handshake",
            Self::Tls(_) => "Tls",
            Self::Ended => "Ended",
        })
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(context, buffer))?;
        if let Some(left) = &mut self.left {
            let read = buffer.filled().len().saturating_sub(before);
            let rest = left.checked_sub(read);
            *left = rest.ok_or_else(|| io::Error::other("the handshake is too long"))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
