//! Requests to submit a one-off run.

use prost_types::Timestamp;

use crate::proto::{self, ListingType, ScrapeParameters, ScrapingJobPriority};

/// A one-off run to create with [`crate::Client::submit_run`].
///
/// ```no_run
/// use windrow_client::{Client, Error, SubmitRun, proto::ListingType};
///
/// # async fn example(client: Client) -> Result<(), Error> {
/// let run = SubmitRun::new("46220").location("46202").listing_type(ListingType::Sold);
/// let run = client.submit_run(run).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a request does nothing until it is sent"]
pub struct SubmitRun(proto::SubmitScrapingJobRequest);

impl SubmitRun {
    /// A run of one location.
    pub fn new(location: impl Into<String>) -> Self {
        Self(proto::SubmitScrapingJobRequest::default()).location(location)
    }

    /// Adds a location; repeat it for up to 1,000.
    pub fn location(self, location: impl Into<String>) -> Self {
        self.set(|parameters| parameters.locations.push(location.into()))
    }

    /// Adds a kind of listings to scrape.
    pub fn listing_type(self, listing_type: ListingType) -> Self {
        self.set(|parameters| parameters.listing_types.push(listing_type.into()))
    }

    /// Source to scrape. Default: the server's.
    pub fn source(self, source: impl Into<String>) -> Self {
        self.set(|parameters| parameters.source = Some(source.into()))
    }

    /// Replaces all parameters, including locations and source.
    pub fn parameters(self, parameters: ScrapeParameters) -> Self {
        self.set(|all| *all = parameters)
    }

    /// Priority of the run. Default: normal.
    pub fn priority(mut self, priority: ScrapingJobPriority) -> Self {
        self.0.priority = priority.into();
        self
    }

    /// Starts the run at this time at the earliest. Default: now.
    pub fn available_at(mut self, time: impl Into<Timestamp>) -> Self {
        self.0.available_at = Some(time.into());
        self
    }

    /// Adds a label; its value has up to 63 characters.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.labels.insert(key.into(), value.into());
        self
    }

    /// Retry and timeout policy of the run.
    pub fn policy(mut self, policy: proto::RunPolicy) -> Self {
        self.0.policy = Some(policy);
        self
    }

    /// Makes calls of several processes idempotent: a UUID or up to 64 printable characters. Default: one
    /// per call.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.0.request_id = request_id.into();
        self
    }

    /// Only validates: the call returns the run that would be created, without an id.
    pub fn validate_only(mut self) -> Self {
        self.0.validate_only = true;
        self
    }

    fn set(mut self, change: impl FnOnce(&mut ScrapeParameters)) -> Self {
        change(self.0.parameters.get_or_insert_default());
        self
    }
}

impl From<ScrapeParameters> for SubmitRun {
    fn from(parameters: ScrapeParameters) -> Self {
        let parameters = Some(parameters);
        Self(proto::SubmitScrapingJobRequest { parameters, ..Default::default() })
    }
}

impl From<proto::SubmitScrapingJobRequest> for SubmitRun {
    fn from(request: proto::SubmitScrapingJobRequest) -> Self {
        Self(request)
    }
}

impl From<SubmitRun> for proto::SubmitScrapingJobRequest {
    fn from(run: SubmitRun) -> Self {
        run.0
    }
}
