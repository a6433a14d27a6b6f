//! The `reso` source: listings from a RESO Web API, the licensed standard of the property industry: OData 4
//! with the field names of RESO's Data Dictionary (<https://www.reso.org/reso-web-api/>).
//!
//! A location becomes a query of the resource `Property`, read page by page, oldest change first. If an
//! earlier run has read everything up to some time, only later changes are read.
//!
//! ```text
//! query ─▶ page ─▶ properties ─▶ @odata.nextLink ─▶ page … the last page has no link
//!            └── 429, 5xx, lost connection: retried after Retry-After or a pause, a few times
//! ```
//!
//! A location with more listings than the server's maximum fails: it must not seem complete. Not
//! supported: search by radius, for which the standard has no portable function; and metadata.

mod auth;
mod fetch;
mod page;
mod query;
mod settings;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;
use url::Url;

use self::fetch::Fetcher;
use self::page::Page;
use super::property::property;
use super::{Source, SourceError, Task};

pub use self::settings::{OAuth2Settings, ResoSettings};

/// The field that identifies a listing.
const KEY: &str = "ListingKey";
/// Maximum pages of a location, against links that form a cycle.
const PAGES: usize = 100_000;

pub(super) struct ResoSource {
    settings: ResoSettings,
    fetcher: Fetcher,
}

impl ResoSource {
    pub(super) fn new(settings: ResoSettings) -> Self {
        Self { fetcher: Fetcher::new(settings.clone()), settings }
    }

    /// Pushes the listings of one page; returns the address of the next page.
    async fn scrape_page(
        &self,
        task: &Task,
        number: usize,
        address: &Url,
    ) -> Result<Option<Url>, SourceError> {
        let body = self.fetcher.get(address).await?;
        let invalid = |reason: String| SourceError::failed(format!("page {number}: {reason}"));
        let page = Page::parse(&body).map_err(invalid)?;
        for (index, listing) in page.listings.into_iter().enumerate() {
            let invalid = |reason| {
                SourceError::failed(format!("page {number}, listing {}: {reason}", index + 1))
            };
            task.push(property(listing, KEY).map_err(invalid)?).await?;
        }
        let Some(link) = page.next else { return Ok(None) };
        query::follow(&self.settings.url, address, &link).map(Some).map_err(SourceError::failed)
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

    async fn scrape(&self, task: &Task) -> Result<(), SourceError> {
        let first = query::first_page(&self.settings, task.request());
        let mut next = Some(first.map_err(SourceError::failed)?);
        for number in 1..=PAGES {
            let Some(address) = next else { return Ok(()) };
            if number > 1 {
                sleep(self.settings.page_delay).await;
            }
            next = self.scrape_page(task, number, &address).await?;
        }
        Err(SourceError::failed(format!("has more than {PAGES} pages")))
    }
}
