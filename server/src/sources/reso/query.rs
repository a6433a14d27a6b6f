//! The addresses of pages: the first from what the run asks for, the others from the server's links.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use super::{KEY, ResoSettings};
use crate::sources::ScrapeRequest;

const CHANGED: &str = "ModificationTimestamp";
const RENTAL: &str = "Residential Lease";
/// The server's clock may differ from ours, and may stamp a change before it shows it.
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
    // With a limit of its own a run wants the newest; else nothing may be passed over.
    let newest_first = limit_of(request).is_some();
    let order =
        if newest_first { format!("{CHANGED} desc,{KEY}") } else { format!("{CHANGED},{KEY}") };
    options.push(("$orderby", order));
    if let Some(limit) = limit_of(request) {
        options.push(("$top", limit.to_string()));
    }
    // Not as a form has it: many servers take a plus sign for itself.
    let encoded = |(name, value): &(&str, String)| {
        format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
    };
    url.set_query(Some(&options.iter().map(encoded).collect::<Vec<_>>().join("&")));
    Ok(url)
}

/// The page that a link leads to. The token goes to no other server, and nowhere twice.
pub(super) fn follow(root: &Url, from: &Url, link: &str) -> Result<Url, String> {
    // OData has relative links begin at the service's root or at the request, as servers do it.
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
    if request.parameters.get("radius").is_some() {
        return Err("a source of kind reso cannot search by radius".to_owned());
    }
    let mut conditions = vec![place(&request.location)];
    let kinds: Result<Vec<String>, String> =
        request.listing_types.iter().map(|kind| kind_of_listing(kind)).collect();
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

/// By `StandardStatus`, as a text; `PropertyType` tells rentals from sales.
fn kind_of_listing(kind: &str) -> Result<String, String> {
    let active = "StandardStatus eq 'Active'";
    match kind {
        "FOR_SALE" => Ok(format!("({active} and PropertyType ne '{RENTAL}')")),
        "FOR_RENT" => Ok(format!("({active} and PropertyType eq '{RENTAL}')")),
        "PENDING" => {
            Ok("StandardStatus eq 'Pending' or StandardStatus eq 'Active Under Contract'"
                .to_owned())
        }
        "SOLD" => Ok("StandardStatus eq 'Closed'".to_owned()),
        other => Err(format!("a source of kind reso does not know the listing type {other}")),
    }
}

/// The later of what the run's parameters ask for and what it has not seen yet.
fn changed_since(request: &ScrapeRequest) -> Option<String> {
    let days = request.parameters.get("past_days").and_then(Value::as_i64);
    let wanted = days.and_then(|days| Some(request.reference_time - TimeDelta::try_days(days)?));
    let unseen = request.changed_since.map(|since| since - OVERLAP);
    let since: DateTime<Utc> = wanted.max(unseen)?;
    Some(format!("{CHANGED} ge {}", since.to_rfc3339_opts(SecondsFormat::Millis, true)))
}

/// A text of OData: quotes are doubled.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
