//! Pages and errors in OData's JSON form.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use windrow_worker::Secrets;

use super::http::{html_title, not_json, shortened};
use crate::sources::property::read_json;

/// Maximum bytes of a listing, as of a line of a program.
const LISTING_BYTES: usize = 1024 * 1024;

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
    #[serde(default, rename = "@odata.nextLink", alias = "@nextLink", alias = "odata.nextLink")]
    next: Value,
}

impl<'b> Page<'b> {
    pub(super) fn parse(body: &'b [u8], secrets: &Secrets) -> Result<Self, String> {
        let page: RawPage<'b> =
            serde_json::from_slice(body).map_err(|error| not_json(body, &error))?;
        let listings = page.value.and_then(|value| serde_json::from_str(value.get()).ok());
        let Some(listings): Option<Vec<&'b RawValue>> = listings else {
            let error = error_message(body, secrets);
            return Err(error.unwrap_or_else(|| "has no list named value".to_owned()));
        };
        let listing = |raw: &'b RawValue| RawListing {
            raw,
            mark: serde_json::from_str(raw.get()).unwrap_or_default(),
        };
        let listings = listings.into_iter().map(listing).collect();
        let next = match page.next {
            Value::Null => None,
            Value::String(link) => Some(link),
            _ => return Err("@odata.nextLink is not a string".to_owned()),
        };
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
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
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
