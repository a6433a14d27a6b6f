//! Sizes in bytes: every client can receive every answer, and no client can fill the memory of a server.

mod attacks;
mod changes;
mod errors;
mod floods;
mod log;
mod memory;
mod pages;
mod parts;
mod requests;

use tonic::transport::Channel;
use windrow_client::proto;

use crate::support::{Windrow, parameters};

/// A channel whose clients have the usual limits: messages of 4 MiB, and 16 KiB of headers.
async fn channel(windrow: &Windrow) -> Channel {
    let address = format!("http://{}", windrow.address());
    Channel::from_shared(address).unwrap().connect().await.unwrap()
}

/// Parameters with a thousand locations of 200 characters: 200 KB.
fn large_parameters(source: &str) -> proto::ScrapeParameters {
    let locations = (0..1_000).map(|place| format!("{place:0200}"));
    proto::ScrapeParameters { locations: locations.collect(), ..parameters(source) }
}
