//! The pages of a location, such that a change between two pages never hides another listing.
//!
//! Links that count rows miss a listing when an earlier one changes: it moves to the end, and all others move
//! forward. So the next page is not the server's link but a query of its own: everything that changed since
//! a second before the last listing. Servers round timestamps, and the second covers it; listings that were
//! read already are dropped. A page full of listings of the same second is continued by key.
//!
//! ```text
//! First ─▶ Since ─▶ Since ─▶ … ─▶ the last page has no link
//!            │  ▲
//!            ▼  └ the second is complete
//!          Within (of the same second, by key)
//!   a server that does not filter or sort ─▶ Linked
//! ```
//!
//! If the server does not filter or sort so, its links are followed. Those that count rows are read with an
//! overlap: a page that begins with a known listing leaves nothing out.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use url::Url;
use windrow_worker::Level;

use super::ResoSettings;
use super::links;
use super::page::{Mark, Page};
use super::query::{self, Order, Range};
use crate::sources::{SourceError, Task};

/// Servers round and cut timestamps in filters and in listings.
const PRECISION: TimeDelta = TimeDelta::seconds(1);
/// One in this many listings of a page is read again if links count rows.
const OVERLAP: usize = 10;

#[derive(Clone)]
enum Step {
    /// A query of our own.
    Query(Range),
    Linked(Link),
    Done,
}

/// A link of the server.
#[derive(Clone)]
struct Link {
    url: Url,
    /// Listings to read again, if the link counts them.
    overlap: u64,
    /// The end of the time range whose pages the link connects. Later changes follow.
    until: Option<DateTime<Utc>>,
}

impl Link {
    /// The same link with a larger overlap, to fill a gap; `None` at the first listing, and if the link does
    /// not count.
    fn earlier(&self) -> Option<Self> {
        let earlier = Self { overlap: self.overlap.saturating_mul(2), ..self.clone() };
        let is_earlier = links::overlapping(&self.url, earlier.overlap)?
            != links::overlapping(&self.url, self.overlap)?;
        is_earlier.then_some(earlier)
    }
}

/// The position of a location's reading.
pub(super) struct Paging<'t> {
    settings: &'t ResoSettings,
    task: &'t Task,
    order: Order,
    step: Step,
    /// The link of the last page that was as requested, or the reason why it cannot be followed.
    link: Result<Link, String>,
    /// Keys of the listings that were read.
    seen: HashSet<String>,
    /// Those of them that were read beyond a gap.
    beyond_gap: HashSet<String>,
    arrival: Arrival,
}

/// The relation of a page to the request and to the pages before it.
#[derive(Clone, Copy, PartialEq)]
enum Arrival {
    Connected,
    /// Listings may be missing before it.
    AfterGap,
    /// The server did not filter.
    Unfiltered,
}

impl<'t> Paging<'t> {
    pub(super) fn new(settings: &'t ResoSettings, task: &'t Task, order: Order) -> Self {
        let step = Step::Query(Range::All);
        let link = Err("the first page has no link".to_owned());
        let (seen, beyond_gap) = (HashSet::new(), HashSet::new());
        let arrival = Arrival::Connected;
        Self { settings, task, order, step, link, seen, beyond_gap, arrival }
    }

    /// The address of the next page; `None` at the end.
    pub(super) fn address(&self) -> Result<Option<Url>, SourceError> {
        match &self.step {
            Step::Query(range) => {
                let url = query::page(self.settings, self.task.request(), range, self.order);
                url.map(Some).map_err(SourceError::failed)
            }
            Step::Linked(link) => Ok(Some(
                links::overlapping(&link.url, link.overlap).unwrap_or_else(|| link.url.clone()),
            )),
            Step::Done => Ok(None),
        }
    }

    /// Looks at a page. Its listings are read in any case: they match the run.
    pub(super) fn arrive(&mut self, page: &Page<'_>) {
        let is_connected = |mark: &Mark| {
            mark.key().is_none_or(|key| self.seen.contains(&key) && !self.beyond_gap.contains(&key))
        };
        self.arrival = match &self.step {
            Step::Query(range) if !fits(page, range) => Arrival::Unfiltered,
            Step::Linked(link)
                if link.earlier().is_some()
                    && !page.listings.first().is_none_or(|first| is_connected(&first.mark)) =>
            {
                Arrival::AfterGap
            }
            Step::Query(_) | Step::Linked(_) | Step::Done => Arrival::Connected,
        };
    }

    /// Whether this listing was not read before.
    pub(super) fn is_new(&mut self, mark: &Mark) -> bool {
        let Some(key) = mark.key() else { return true };
        let is_new = self.seen.insert(key.clone());
        if self.arrival == Arrival::Connected {
            self.beyond_gap.remove(&key);
        } else if is_new {
            self.beyond_gap.insert(key);
        }
        is_new
    }

    /// Chooses the step after a page with the address `from`, whose listings are read.
    pub(super) fn advance(&mut self, page: &Page<'_>, from: &Url) -> Result<(), SourceError> {
        if self.arrival == Arrival::Unfiltered {
            return self.follow_links("the server does not filter by ModificationTimestamp");
        }
        if let (Arrival::AfterGap, Step::Linked(link)) = (self.arrival, &self.step)
            && let Some(earlier) = link.earlier()
        {
            self.step = Step::Linked(earlier);
            return Ok(());
        }
        let until = self.until();
        let Some(link) = &page.next else {
            // The pages of a time range are complete; changes after it follow.
            self.step = until.map_or(Step::Done, |until| Step::Query(Range::Since(until)));
            return Ok(());
        };
        let overlap = overlap_of(page.listings.len());
        let link = links::follow(self.settings, from, link);
        let link = link.map(|url| Link { url, overlap, until });
        if let Some(range) = self.next_range(page) {
            // A link that cannot be followed does not matter as long as it is not needed.
            self.link = link;
            self.step = Step::Query(range);
            return Ok(());
        }
        self.step = Step::Linked(link.map_err(SourceError::failed)?);
        Ok(())
    }

    /// Chooses another step for a request that the server refused; fails if there is none.
    pub(super) fn refused(&mut self, reason: String) -> Result<(), SourceError> {
        match &self.step {
            Step::Query(Range::Since(_) | Range::Within { .. }) => self.follow_links(&reason),
            Step::Query(Range::All) if self.order == Order::ByChange => {
                self.task.log_at(Level::Warning, format!("{reason}; trying without $orderby"));
                self.order = Order::Any;
                Ok(())
            }
            Step::Query(Range::All) | Step::Linked(_) | Step::Done => {
                Err(SourceError::permanent(reason))
            }
        }
    }

    pub(super) fn order(&self) -> Order {
        self.order
    }

    /// Whether a page was read.
    pub(super) fn has_read(&self) -> bool {
        !matches!(self.step, Step::Query(Range::All))
    }

    fn follow_links(&mut self, reason: &str) -> Result<(), SourceError> {
        let link = self.link.clone().map_err(SourceError::failed)?;
        let text = format!("{reason}; following the links of the server");
        self.task.log_at(Level::Warning, text);
        self.step = Step::Linked(link);
        Ok(())
    }

    /// The query after a page, if the listings tell their order.
    fn next_range(&self, page: &Page<'_>) -> Option<Range> {
        let Step::Query(range) = &self.step else { return None };
        let last = page.listings.last()?;
        if self.order == Order::Any || query::limit_of(self.task.request()).is_some() {
            return None;
        }
        if let Range::Within { from, until, after } = range {
            let key = last.mark.key_literal().filter(|key| after.as_ref() != Some(key))?;
            return Some(Range::Within { from: *from, until: *until, after: Some(key) });
        }
        let times: Option<Vec<DateTime<Utc>>> =
            page.listings.iter().map(|listing| listing.mark.changed()).collect();
        let times = times.filter(|times| times.is_sorted())?;
        let last = *times.last()?;
        let since = last.checked_sub_signed(PRECISION)?;
        match range {
            Range::Since(from) if since <= *from => {
                let until = last.checked_add_signed(PRECISION)?;
                Some(Range::Within { from: *from, until, after: None })
            }
            Range::All | Range::Since(_) | Range::Within { .. } => Some(Range::Since(since)),
        }
    }

    fn until(&self) -> Option<DateTime<Utc>> {
        match &self.step {
            Step::Query(Range::Within { until, .. }) => Some(*until),
            Step::Linked(link) => link.until,
            Step::Query(Range::All | Range::Since(_)) | Step::Done => None,
        }
    }
}

/// Less than the listings of a page, so that each page leads further.
fn overlap_of(listings: usize) -> u64 {
    if listings < 2 {
        return 0;
    }
    u64::try_from(listings.div_ceil(OVERLAP)).unwrap_or_default()
}

/// Whether every listing is within the range, as far as it tells.
fn fits(page: &Page<'_>, range: &Range) -> bool {
    let (from, until) = match range {
        Range::All => return true,
        Range::Since(from) => (*from, None),
        Range::Within { from, until, .. } => (*from, Some(*until)),
    };
    page.listings.iter().filter_map(|listing| listing.mark.changed()).all(|changed| {
        changed >= from - PRECISION && until.is_none_or(|until| changed <= until + PRECISION)
    })
}
