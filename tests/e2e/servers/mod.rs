//! Several servers, crashes and connections.

mod age;
mod certificates;
mod client;
mod connections;
mod crashes;
mod exposure;
mod several;
mod tls;
