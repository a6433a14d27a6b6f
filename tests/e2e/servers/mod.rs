//! Several servers, crashes and connections.

mod client;
mod connections;
mod crashes;
mod several;
mod tls;
