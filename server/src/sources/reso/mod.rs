//! The `reso` source: listings from a RESO Web API, the licensed standard of the property industry: OData 4
//! with the field names of RESO's Data Dictionary (<https://www.reso.org/reso-web-api/>).
//!
//! A location becomes a query of the resource `Property`, read page by page, oldest change first. If an
//! earlier run has read everything up to some time, only later changes are read.
//!
//! ```text
//! query ─▶ page ─▶ properties ─▶ query of the next page … the last page has no @odata.nextLink
//!            ├── 429, 502, 503, 504: waited out, with pauses, as long as the location has time
//!            └── other 5xx, lost connection: retried a few times
//! ```
//!
//! A location with more listings than the server's maximum fails: it must not seem complete. Not
//! supported: search by radius, for which the standard has no portable function; and metadata.

mod auth;
mod fetch;
mod http;
mod links;
mod page;
mod paging;
mod patience;
mod query;
mod settings;
#[cfg(test)]
mod tests;
mod token;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};
use url::Url;

use self::fetch::{FetchError, Fetcher};
use self::page::Page;
use self::paging::Paging;
use self::query::Order;
use super::property::property;
use super::{Secrets, Source, SourceError, Task};

pub use self::settings::{OAuth2Settings, ResoSettings};

/// The field that identifies a listing.
const KEY: &str = "ListingKey";
/// Maximum pages of a location, against links that form a cycle.
const PAGES: usize = 100_000;

pub(super) struct ResoSource {
    settings: ResoSettings,
    secrets: Secrets,
    fetcher: Fetcher,
    /// The service has refused `$orderby`.
    refuses_order: AtomicBool,
}

impl ResoSource {
    pub(super) fn new(settings: ResoSettings) -> Self {
        let secrets = Secrets::default();
        settings.secrets().iter().for_each(|secret| secrets.remember(secret));
        let fetcher = Fetcher::new(settings.clone(), secrets.clone());
        Self { settings, secrets, fetcher, refuses_order: AtomicBool::new(false) }
    }

    /// Pushes the listings of one page.
    async fn push_page(
        &self,
        task: &Task,
        paging: &mut Paging<'_>,
        address: &Url,
        body: &[u8],
    ) -> Result<(), SourceError> {
        let page = Page::parse(body, &self.secrets).map_err(SourceError::failed)?;
        paging.arrive(&page);
        for (index, listing) in page.listings.iter().enumerate() {
            if paging.is_new(&listing.mark) {
                let invalid =
                    |reason| SourceError::failed(format!("listing {}: {reason}", index + 1));
                let fields = listing.fields().map_err(invalid)?;
                task.push(property(fields, KEY).map_err(invalid)?).await?;
            }
        }
        paging.advance(&page, address)
    }

    fn order(&self) -> Order {
        let ordered = self.settings.ordered && !self.refuses_order.load(Ordering::Relaxed);
        if ordered { Order::ByChange } else { Order::Any }
    }
}

#[async_trait]
impl Source for ResoSource {
    fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    fn full_every(&self) -> Option<u32> {
        Some(self.settings.full_every)
    }

    fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    async fn scrape(&self, task: &Task) -> Result<(), SourceError> {
        let deadline = Instant::now() + self.settings.timeout;
        let order = self.order();
        let mut paging = Paging::new(&self.settings, task, order);
        for number in 1..=PAGES {
            let Some(address) = paging.address()? else { return Ok(()) };
            if number > 1 {
                sleep(self.settings.page_delay).await;
            }
            match self.fetcher.get(task, &address, deadline).await {
                Ok(body) => {
                    let pushed = self.push_page(task, &mut paging, &address, &body).await;
                    pushed.map_err(|error| on_page(error, number))?;
                }
                Err(FetchError::Refused(reason)) => paging.refused(reason)?,
                Err(FetchError::Failed(error)) => return Err(error),
            }
            if order != paging.order() && paging.has_read() {
                self.refuses_order.store(true, Ordering::Relaxed);
            }
        }
        Err(SourceError::failed(format!("has more than {PAGES} pages")))
    }
}

/// Names the page in the reason.
fn on_page(error: SourceError, number: usize) -> SourceError {
    match error {
        SourceError::Failed { reason, permanent } => {
            SourceError::Failed { reason: format!("page {number}: {reason}"), permanent }
        }
        SourceError::Broken { .. } | SourceError::TimedOut { .. } | SourceError::Stopped => error,
    }
}
