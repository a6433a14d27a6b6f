//! Pages and errors in OData's JSON form.

use std::fmt::{self, Formatter};

use chrono::{DateTime, Utc};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use windrow_worker::Secrets;

use super::http::{html_title, not_json, shortened};
use crate::sources::property::read_json;

/// Maximum bytes of a listing, as of a line of a program.
const LISTING_BYTES: usize = 1024 * 1024;

/// Maximum listings of a page: more than any server sends.
const LISTINGS: usize = 100_000;
/// Maximum bytes of a response that is read as an error.
const ERROR_BYTES: usize = 64 * 1024;

/// One page of listings. They are parsed one by one: parsed, JSON takes up to twenty times its size.
#[derive(Debug)]
pub(super) struct Page<'b> {
    pub(super) listings: Vec<RawListing<'b>>,
    /// The address of the next page; the last page has none.
    pub(super) next: Option<String>,
}

/// A listing that is not parsed yet.
#[derive(Debug)]
pub(super) struct RawListing<'b> {
    raw: &'b RawValue,
    pub(super) mark: Mark,
}

/// The position of a listing in the order of changes.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Mark {
    #[serde(default, rename = "ListingKey")]
    key: Value,
    #[serde(default, rename = "ModificationTimestamp")]
    changed: Value,
}

#[derive(Deserialize)]
struct RawPage<'b> {
    #[serde(borrow)]
    value: Option<&'b RawValue>,
    // The last two are those of earlier and later versions.
    #[serde(borrow, rename = "@odata.nextLink", alias = "@nextLink", alias = "odata.nextLink")]
    next: Option<&'b RawValue>,
}

impl<'b> Page<'b> {
    pub(super) fn parse(body: &'b [u8], secrets: &Secrets) -> Result<Self, String> {
        let page: RawPage<'b> =
            serde_json::from_slice(body).map_err(|error| not_json(body, &error))?;
        let Some(list) = page.value.filter(|list| list.get().starts_with('[')) else {
            let error = error_message(body, secrets);
            return Err(error.unwrap_or_else(|| "has no list named value".to_owned()));
        };
        let Listings(listings) = serde_json::from_str(list.get()).map_err(|e| e.to_string())?;
        let listing = |raw: &'b RawValue| RawListing { raw, mark: Mark::of(raw.get()) };
        let listings = listings.into_iter().map(listing).collect();
        let next = page.next.map(|next| serde_json::from_str(next.get()));
        let next = next.transpose().map_err(|_| "@odata.nextLink is not a string".to_owned())?;
        Ok(Self { listings, next })
    }
}

impl RawListing<'_> {
    /// The fields without annotations.
    pub(super) fn fields(&self) -> Result<Map<String, Value>, String> {
        let size = self.raw.get().len();
        if size > LISTING_BYTES {
            return Err(format!("has {size} bytes; at most {LISTING_BYTES} are accepted"));
        }
        match read_json(self.raw.get(), ToString::to_string)? {
            Value::Object(fields) => Ok(plain(fields)),
            _ => Err("not a JSON object".to_owned()),
        }
    }
}

impl Mark {
    /// The mark of a listing; none if it is larger than a listing may be.
    fn of(listing: &str) -> Self {
        let listing = Some(listing).filter(|listing| listing.len() <= LISTING_BYTES);
        listing.and_then(|listing| serde_json::from_str(listing).ok()).unwrap_or_default()
    }

    /// The key as text.
    pub(super) fn key(&self) -> Option<String> {
        match &self.key {
            Value::String(key) => Some(key.clone()),
            Value::Number(key) => Some(key.to_string()),
            _ => None,
        }
    }

    /// The key as it is written in a filter.
    pub(super) fn key_literal(&self) -> Option<String> {
        match &self.key {
            Value::String(key) => Some(super::query::quoted(key)),
            Value::Number(key) => Some(key.to_string()),
            _ => None,
        }
    }

    pub(super) fn changed(&self) -> Option<DateTime<Utc>> {
        let time = DateTime::parse_from_rfc3339(self.changed.as_str()?).ok()?;
        Some(time.with_timezone(&Utc))
    }
}

/// The server's error message from the body of a response, without secrets.
pub(super) fn error_message(body: &[u8], secrets: &Secrets) -> Option<String> {
    let json = Some(body).filter(|body| body.len() <= ERROR_BYTES);
    let json = json.and_then(|body| serde_json::from_slice::<Value>(body).ok());
    let Some(body) = json else {
        let text = String::from_utf8_lossy(body);
        // Hidden before it is cut, or a part of a secret could remain.
        let text = if text.trim_start().starts_with('<') {
            html_title(&secrets.hide(&text))?
        } else {
            shortened(&secrets.hide(&text))
        };
        return Some(text).filter(|text| !text.is_empty());
    };
    let error = body.get("error").or_else(|| body.get("odata.error"));
    let message = error.and_then(|error| error.get("message"));
    let message = message.or_else(|| body.get("error_description")).or_else(|| body.get("message"));
    // In OData 3 the message is an object.
    let text = message.and_then(|text| text.as_str().or_else(|| text.get("value")?.as_str()));
    let text = text.or_else(|| error?.as_str())?;
    Some(shortened(&secrets.hide(text)))
}

/// Removes annotations.
fn plain(fields: Map<String, Value>) -> Map<String, Value> {
    fields.into_iter().filter(|(name, _)| !name.contains('@')).collect()
}

/// The texts of listings, of a bounded number.
struct Listings<'b>(Vec<&'b RawValue>);

impl<'b> Deserialize<'b> for Listings<'b> {
    fn deserialize<D: Deserializer<'b>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(ListingsVisitor)
    }
}

struct ListingsVisitor;

impl<'b> Visitor<'b> for ListingsVisitor {
    type Value = Listings<'b>;

    fn expecting(&self, to: &mut Formatter<'_>) -> fmt::Result {
        to.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut list: A) -> Result<Listings<'b>, A::Error> {
        let mut listings = Vec::new();
        while let Some(listing) = list.next_element()? {
            if listings.len() == LISTINGS {
                return Err(A::Error::custom(format!("has more than {LISTINGS} listings")));
            }
            listings.push(listing);
        }
        Ok(Listings(listings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_small_numbers_is_rejected_before_it_takes_memory() {
        let secrets = Secrets::default();
        let numbers = vec!["1"; LISTINGS + 1].join(",");
        let page = format!(r#"{{"value": [{numbers}]}}"#);
        let error = Page::parse(page.as_bytes(), &secrets).unwrap_err();
        assert!(error.starts_with("has more than 100000 listings"), "{error}");
        let numbers = vec!["1"; 600_000].join(",");
        let page = format!(r#"{{"value": [{{"ListingKey": [{numbers}]}}]}}"#);
        let page = Page::parse(page.as_bytes(), &secrets).unwrap();
        assert!(page.listings[0].mark.key.is_null());
        assert!(page.listings[0].fields().is_err());
    }
}
