//! The `reso` source: listings from a RESO Web API, the property industry's licensed standard, which is
//! OData 4 with the names of RESO's Data Dictionary (<https://www.reso.org/reso-web-api/>).
//!
//! A location is a query of the resource `Property`, read page by page as the server sends them, oldest
//! change first. Where the run tells since when, only what changed since is read.
//!
//! ```text
//! query ─▶ page ─▶ rows ─▶ @odata.nextLink ─▶ page … the last page has none
//!            └── 429, 5xx, lost connection: again after Retry-After or a pause, a few times
//! ```
//!
//! A location fails, rather than to be taken for complete, when the server has more rows than a run
//! takes without a limit of its own. Left out: search by radius, for which the standard has no word
//! that all servers know; and metadata.

mod auth;
mod fetch;
mod page;
mod query;
mod settings;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::fetch::Fetcher;
use self::page::Page;
use super::{ScrapeOutcome, ScrapeRequest, ScrapedRow, Source, SourceError, row::row};

pub use self::settings::{OAuth2Settings, ResoSettings};

/// The field that identifies a listing.
const KEY: &str = "ListingKey";
/// Pages of one location. A server that sends more goes in a circle that its links do not show.
const PAGES: usize = 100_000;

pub(super) struct ResoSource {
    settings: ResoSettings,
    fetcher: Fetcher,
}

impl ResoSource {
    pub(super) fn new(settings: ResoSettings) -> Self {
        Self { fetcher: Fetcher::new(settings.clone()), settings }
    }

    async fn listings_send(
        &self,
        request: &ScrapeRequest,
        rows: &mpsc::Sender<ScrapedRow>,
    ) -> Result<(), SourceError> {
        let first = query::first_page(&self.settings, request).map_err(failed)?;
        let (mut next, mut sent) = (Some(first), 0_u32);
        for number in 1..=PAGES {
            let Some(address) = next else { return Ok(()) };
            if number > 1 {
                sleep(self.settings.page_delay).await;
            }
            let body = self.fetcher.get(&address).await?;
            let page =
                Page::parse(&body).map_err(|reason| failed(format!("page {number}: {reason}")))?;
            for (index, listing) in page.listings.into_iter().enumerate() {
                if sent == request.limit {
                    return request.beyond_limit();
                }
                let listing = row(listing, KEY).map_err(|reason| {
                    failed(format!("page {number}, listing {}: {reason}", index + 1))
                })?;
                rows.send(listing).await.map_err(|_closed| SourceError::Stopped)?;
                sent += 1;
            }
            next = match page.next {
                Some(link) => {
                    Some(query::follow(&self.settings.url, &address, &link).map_err(failed)?)
                }
                None => None,
            };
        }
        Err(failed(format!("has more than {PAGES} pages")))
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

    async fn scrape(
        &self,
        request: ScrapeRequest,
        rows: mpsc::Sender<ScrapedRow>,
        stop: CancellationToken,
    ) -> ScrapeOutcome {
        let after = self.settings.timeout;
        let result = tokio::select! {
            biased;
            () = stop.cancelled() => Err(SourceError::Stopped),
            () = rows.closed() => Err(SourceError::Stopped),
            result = timeout(after, self.listings_send(&request, &rows)) => {
                result.unwrap_or(Err(SourceError::TimedOut { after }))
            }
        };
        ScrapeOutcome { result, log: String::new() }
    }
}

fn failed(reason: String) -> SourceError {
    SourceError::failed(reason)
}
