//! The queries of pages, from the run's parameters.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use super::{KEY, ResoSettings};
use crate::sources::ScrapeRequest;

const CHANGED: &str = "ModificationTimestamp";
const RENTAL: &str = "Residential Lease";
/// Digits of a ZIP code.
const ZIP: usize = 5;

/// The order of listings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Oldest change first, or the newest one if the run has a limit.
    ByChange,
    /// As the server chooses.
    Any,
}

/// The part of a location's listings that a query reads.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Range {
    All,
    /// Listings that changed at or after this time.
    Since(DateTime<Utc>),
    /// Listings that changed between two times, ordered by key. `after` is a key as written in a filter.
    Within {
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        after: Option<String>,
    },
}

/// The query for a page of a location.
pub(super) fn page(
    settings: &ResoSettings,
    request: &ScrapeRequest,
    range: &Range,
    order: Order,
) -> Result<Url, String> {
    let mut url = settings.url.clone();
    let path = format!("{}/{}", url.path().trim_end_matches('/'), settings.resource);
    url.set_path(&path);
    let mut options = vec![("$filter", filter(settings, request, range)?)];
    if !settings.select.is_empty() {
        options.push(("$select", select(settings)));
    }
    match (range, order) {
        (Range::Within { .. }, _) => options.push(("$orderby", KEY.to_owned())),
        (Range::All | Range::Since(_), Order::Any) => {}
        // A limit selects the newest listings.
        (Range::All | Range::Since(_), Order::ByChange) if limit_of(request).is_some() => {
            options.push(("$orderby", format!("{CHANGED} desc,{KEY}")));
        }
        (Range::All | Range::Since(_), Order::ByChange) => {
            options.push(("$orderby", format!("{CHANGED},{KEY}")));
        }
    }
    // Services refuse a large one. The task ends at the limit in any case.
    if let Some(limit) = limit_of(request).filter(|limit| *limit <= u64::from(settings.page_size)) {
        options.push(("$top", limit.to_string()));
    }
    // Not form encoding: many servers read its plus sign literally.
    let encoded = |(name, value): &(&str, String)| {
        format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
    };
    url.set_query(Some(&options.iter().map(encoded).collect::<Vec<_>>().join("&")));
    Ok(url)
}

/// The limit that the run itself sets.
pub(super) fn limit_of(request: &ScrapeRequest) -> Option<u64> {
    request.parameters.get("limit").and_then(Value::as_u64)
}

fn select(settings: &ResoSettings) -> String {
    let mut fields: Vec<&str> = vec![KEY, CHANGED];
    fields
        .extend(settings.select.iter().map(String::as_str).filter(|f| *f != KEY && *f != CHANGED));
    fields.join(",")
}

fn filter(
    settings: &ResoSettings,
    request: &ScrapeRequest,
    range: &Range,
) -> Result<String, String> {
    if request.radius().is_some() {
        return Err("a source of kind reso cannot search by radius".to_owned());
    }
    let mut conditions = vec![place(&request.location)];
    let kinds: Result<Vec<String>, String> =
        request.listing_types.iter().map(|kind| condition_of(kind)).collect();
    let kinds = kinds?;
    if !kinds.is_empty() {
        conditions.push(format!("({})", kinds.join(" or ")));
    }
    conditions.extend(changed(settings, request, range));
    conditions.extend(settings.filter.as_ref().map(|filter| format!("({filter})")));
    Ok(conditions.join(" and "))
}

/// A ZIP code, "City, ST", or a city.
fn place(location: &str) -> String {
    let location = location.trim();
    if location.len() == ZIP && location.chars().all(|c| c.is_ascii_digit()) {
        return format!("PostalCode eq {}", quoted(location));
    }
    match location.rsplit_once(',').map(|(city, state)| (city.trim(), state.trim())) {
        Some((city, state))
            if state.len() == 2 && state.chars().all(|c| c.is_ascii_alphabetic()) =>
        {
            let state = state.to_uppercase();
            format!("City eq {} and StateOrProvince eq {}", quoted(city), quoted(&state))
        }
        Some(_) | None => format!("City eq {}", quoted(location)),
    }
}

/// The condition of a listing type: `StandardStatus`, and `PropertyType` to separate rentals from sales.
fn condition_of(listing_type: &str) -> Result<String, String> {
    let active = "StandardStatus eq 'Active'";
    match listing_type {
        "FOR_SALE" => Ok(format!("({active} and PropertyType ne '{RENTAL}')")),
        "FOR_RENT" => Ok(format!("({active} and PropertyType eq '{RENTAL}')")),
        "PENDING" => {
            Ok("StandardStatus eq 'Pending' or StandardStatus eq 'Active Under Contract'"
                .to_owned())
        }
        "SOLD" => Ok("StandardStatus eq 'Closed'".to_owned()),
        other => Err(format!("a source of kind reso does not support the listing type {other}")),
    }
}

/// The conditions on the time of the change: those of the range, else those of the run.
fn changed(settings: &ResoSettings, request: &ScrapeRequest, range: &Range) -> Vec<String> {
    let since = |time: DateTime<Utc>| format!("{CHANGED} ge {}", literal(time));
    match range {
        Range::All => changed_since(settings, request).map(since).into_iter().collect(),
        Range::Since(from) => vec![since(*from)],
        Range::Within { from, until, after } => {
            let mut conditions = vec![since(*from), format!("{CHANGED} lt {}", literal(*until))];
            conditions.extend(after.as_ref().map(|key| format!("{KEY} gt {key}")));
            conditions
        }
    }
}

/// The later of the run's `past_days` and the end of the last complete run, with an overlap: a change may
/// become visible later than its timestamp.
fn changed_since(settings: &ResoSettings, request: &ScrapeRequest) -> Option<DateTime<Utc>> {
    let days = request.past_days();
    let requested = days.and_then(|days| Some(request.reference_time - TimeDelta::try_days(days)?));
    let overlap = TimeDelta::from_std(settings.overlap).unwrap_or_default();
    let unread = request.changed_since.map(|since| since - overlap);
    requested.max(unread)
}

fn literal(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An OData string literal: quotes are doubled.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
