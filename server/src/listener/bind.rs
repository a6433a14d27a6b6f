//! Binds an address, or every address of a name.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;

use rustix::io::Errno;
use tokio::net::{TcpListener, lookup_host};

use super::Listener;
use crate::config::ListenAddress;

impl Listener {
    /// Binds all addresses of a name, except those that this machine does not have. They share one port.
    pub(crate) async fn bind(address: &ListenAddress) -> io::Result<Vec<TcpListener>> {
        let found = lookup_host((address.host(), address.port())).await?;
        let mut sockets: Vec<TcpListener> = Vec::new();
        let mut missing = None;
        for mut found in found.collect::<BTreeSet<SocketAddr>>() {
            if let (0, Some(first)) = (found.port(), sockets.first()) {
                found.set_port(first.local_addr()?.port());
            }
            match TcpListener::bind(found).await {
                Ok(socket) => sockets.push(socket),
                Err(error) if is_missing(&error) => missing = Some(error),
                Err(error) => return Err(error),
            }
        }
        if sockets.is_empty() {
            let unknown = || io::Error::other("the name has no address");
            return Err(missing.unwrap_or_else(unknown));
        }
        Ok(sockets)
    }
}

/// For example `::1` of localhost on a machine without IPv6.
fn is_missing(error: &io::Error) -> bool {
    let missing = [Errno::ADDRNOTAVAIL, Errno::AFNOSUPPORT];
    Errno::from_io_error(error).is_some_and(|errno| missing.contains(&errno))
}
