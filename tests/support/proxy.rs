//! A TCP proxy in front of a server or a database that can be cut, slow or frozen.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// Quality of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Clear,
    /// Delays every piece by this time.
    Slow(Duration),
    /// Holds bytes back until the line changes.
    Frozen,
}

/// Target of a line.
#[derive(Clone, Debug)]
pub enum Upstream {
    Address(String),
    Socket(PathBuf),
}

#[derive(Clone)]
pub struct Proxy {
    pub address: String,
    upstream: Arc<Mutex<Upstream>>,
    line: watch::Sender<Line>,
    cuts: watch::Sender<u64>,
}

impl Upstream {
    /// The database server of a URL with a socket directory.
    pub fn database(url: &str) -> Self {
        let url = url::Url::parse(url).unwrap();
        let (_, dir) = url.query_pairs().find(|(name, _)| name == "host").unwrap();
        Self::Socket(Path::new(&*dir).join(".s.PGSQL.5432"))
    }
}

impl Proxy {
    /// Listens on an address that stays the same when the server behind it changes.
    pub async fn start(upstream: &str) -> Self {
        Self::start_to(Upstream::Address(upstream.to_owned())).await
    }

    #[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
    pub async fn start_to(upstream: Upstream) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap().to_string(),
            upstream: Arc::new(Mutex::new(upstream)),
            line: watch::Sender::new(Line::Clear),
            cuts: watch::Sender::new(0),
        };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().forward(near));
            }
        });
        proxy
    }

    /// Target of new connections.
    pub fn leads_to(&self, upstream: Upstream) {
        *self.upstream.lock().unwrap() = upstream;
    }

    /// The same database, through this proxy.
    pub fn database_url(&self, url: &str) -> String {
        let name = url::Url::parse(url).unwrap().path().to_owned();
        format!("postgres://windrow@{}{name}?sslmode=disable", self.address)
    }

    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }

    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    async fn forward(self, near: TcpStream) {
        let upstream = self.upstream.lock().unwrap().clone();
        match upstream {
            Upstream::Address(address) => {
                if let Ok(far) = TcpStream::connect(address).await {
                    far.set_nodelay(true).ok();
                    self.connect(near, far).await;
                }
            }
            Upstream::Socket(path) => {
                if let Ok(far) = UnixStream::connect(path).await {
                    self.connect(near, far).await;
                }
            }
        }
    }

    async fn connect(self, near: TcpStream, far: impl AsyncRead + AsyncWrite) {
        near.set_nodelay(true).ok();
        let mut cuts = self.cuts.subscribe();
        let ((near_read, near_write), (far_read, far_write)) = (split(near), split(far));
        let both = futures::future::join(
            carry(near_read, far_write, self.line.subscribe()),
            carry(far_read, near_write, self.line.subscribe()),
        );
        tokio::select! {
            _ = both => {}
            _ = cuts.changed() => {}
        }
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut line: watch::Receiver<Line>,
) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut bytes).await.unwrap_or(0);
        let now = line.wait_for(|line| *line != Line::Frozen).await.map(|line| *line);
        match now {
            Ok(Line::Slow(pause)) => tokio::time::sleep(pause).await,
            Ok(_) => {}
            Err(_) => return,
        }
        if count == 0 || to.write_all(&bytes[..count]).await.is_err() {
            to.shutdown().await.ok();
            return;
        }
    }
}
