//! The addresses of pages: the first from the run's parameters, the others from the server's links.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use super::{KEY, ResoSettings};
use crate::sources::ScrapeRequest;

const CHANGED: &str = "ModificationTimestamp";
const RENTAL: &str = "Residential Lease";
/// The server's clock may differ from ours, and a change may appear later than its timestamp.
const OVERLAP: TimeDelta = TimeDelta::minutes(5);
/// Digits of a ZIP code.
const ZIP: usize = 5;

/// The first page of a location.
pub(super) fn first_page(settings: &ResoSettings, request: &ScrapeRequest) -> Result<Url, String> {
    let mut url = settings.url.clone();
    let path = format!("{}/{}", url.path().trim_end_matches('/'), settings.resource);
    url.set_path(&path);
    let mut options = vec![("$filter", filter(settings, request)?)];
    if !settings.select.is_empty() {
        options.push(("$select", select(settings)));
    }
    // A limit selects the newest listings. Without one, pages are read in order of change: listings that
    // change meanwhile move to the end.
    let newest_first = limit_of(request).is_some();
    let order =
        if newest_first { format!("{CHANGED} desc,{KEY}") } else { format!("{CHANGED},{KEY}") };
    options.push(("$orderby", order));
    if let Some(limit) = limit_of(request) {
        options.push(("$top", limit.to_string()));
    }
    // Not form encoding: many servers read its plus sign literally.
    let encoded = |(name, value): &(&str, String)| {
        format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
    };
    url.set_query(Some(&options.iter().map(encoded).collect::<Vec<_>>().join("&")));
    Ok(url)
}

/// The address of a link. It must lead to another page of the same server, which gets the token.
pub(super) fn follow(root: &Url, from: &Url, link: &str) -> Result<Url, String> {
    // Servers resolve relative links against the service root or against the request.
    let base = if link.starts_with(['?', '/']) { from.clone() } else { directory(root) };
    let next = base.join(link).map_err(|error| format!("@odata.nextLink {link:?}: {error}"))?;
    if next.origin() != root.origin() {
        return Err(format!(
            "@odata.nextLink leads to another server: {}",
            next.origin().ascii_serialization()
        ));
    }
    if next == *from {
        return Err("@odata.nextLink leads back to its own page".to_owned());
    }
    Ok(next)
}

fn directory(root: &Url) -> Url {
    let mut directory = root.clone();
    directory.set_path(&format!("{}/", root.path().trim_end_matches('/')));
    directory.set_query(None);
    directory
}

fn limit_of(request: &ScrapeRequest) -> Option<u64> {
    request.parameters.get("limit").and_then(Value::as_u64)
}

fn select(settings: &ResoSettings) -> String {
    let mut fields: Vec<&str> = vec![KEY, CHANGED];
    fields
        .extend(settings.select.iter().map(String::as_str).filter(|f| *f != KEY && *f != CHANGED));
    fields.join(",")
}

fn filter(settings: &ResoSettings, request: &ScrapeRequest) -> Result<String, String> {
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
    conditions.extend(changed_since(request));
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

/// The later of the run's `past_days` and the end of the last complete run.
fn changed_since(request: &ScrapeRequest) -> Option<String> {
    let days = request.past_days();
    let requested = days.and_then(|days| Some(request.reference_time - TimeDelta::try_days(days)?));
    let unread = request.changed_since.map(|since| since - OVERLAP);
    let since: DateTime<Utc> = requested.max(unread)?;
    Some(format!("{CHANGED} ge {}", since.to_rfc3339_opts(SecondsFormat::Millis, true)))
}

/// An OData string literal: quotes are doubled.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
