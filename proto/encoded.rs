//! The server of `ScrapingJobService` for watches that send the same run to many clients: their responses hold the run
//! as bytes, so that it is encoded once. On the wire they are the messages of the contract.

use prost::bytes::Bytes;

use crate::v1::WatchKind;

#[allow(warnings, clippy::all, clippy::pedantic, clippy::restriction, reason = "generated")]
#[allow(rustdoc::all, reason = "generated")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/encoded/windrow.v1.rs"));
}

pub use generated::scraping_job_service_server;

/// `WatchScrapingJobResponse` and `WatchScrapingJobsResponse`, which have the same fields.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WatchResponse {
    /// Kind of the message.
    #[prost(enumeration = "WatchKind", tag = "1")]
    pub kind: i32,
    /// An encoded `ScrapingJob`.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub scraping_job: Option<Bytes>,
    /// Position after the message.
    #[prost(string, tag = "3")]
    pub resume_token: String,
    /// Time by which the stream is behind the database.
    #[prost(message, optional, tag = "4")]
    pub feed_lag: Option<prost_types::Duration>,
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::v1;

    #[test]
    fn the_response_is_the_message_of_the_contract() {
        let run = v1::ScrapingJob { job_id: "run".to_owned(), revision: 7, ..Default::default() };
        let lag = prost_types::Duration { seconds: 3, nanos: 4 };
        let response = WatchResponse {
            kind: WatchKind::Changed.into(),
            scraping_job: Some(run.encode_to_vec().into()),
            resume_token: "token".to_owned(),
            feed_lag: Some(lag),
        };
        let bytes = response.encode_to_vec();
        let one = v1::WatchScrapingJobResponse {
            kind: WatchKind::Changed.into(),
            scraping_job: Some(run.clone()),
            resume_token: "token".to_owned(),
            feed_lag: Some(lag),
        };
        assert_eq!(v1::WatchScrapingJobResponse::decode(bytes.as_slice()), Ok(one));
        let many = v1::WatchScrapingJobsResponse {
            kind: WatchKind::Changed.into(),
            scraping_job: Some(run),
            resume_token: "token".to_owned(),
            feed_lag: Some(lag),
        };
        assert_eq!(v1::WatchScrapingJobsResponse::decode(bytes.as_slice()), Ok(many));
    }
}
