//! Pages and errors in OData's JSON form.

use serde_json::{Map, Value};

use crate::sources::property::read_json;

/// Longest message of a server that is kept, in characters.
const MESSAGE_LENGTH: usize = 300;

/// One page of listings.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) listings: Vec<Map<String, Value>>,
    /// The address of the next page; the last page has none.
    pub(super) next: Option<String>,
}

impl Page {
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let text = str::from_utf8(body).map_err(|_| "not UTF-8".to_owned())?;
        let invalid = |error: &serde_json::Error| format!("not a JSON object: {error}");
        let Value::Object(mut page) = read_json(text, invalid)? else {
            return Err("not a JSON object".to_owned());
        };
        let Some(Value::Array(items)) = page.remove("value") else {
            return Err("has no list named value".to_owned());
        };
        let listing = |(index, item): (usize, Value)| match item {
            Value::Object(fields) => Ok(plain(fields)),
            _ => Err(format!("listing {} is not a JSON object", index + 1)),
        };
        let listings = items.into_iter().enumerate().map(listing).collect::<Result<_, _>>()?;
        let next = match page.remove("@odata.nextLink").or_else(|| page.remove("@nextLink")) {
            None | Some(Value::Null) => None,
            Some(Value::String(link)) => Some(link),
            Some(_) => return Err("@odata.nextLink is not a string".to_owned()),
        };
        Ok(Self { listings, next })
    }
}

/// The server's error message from the body of a response.
pub(super) fn error_message(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let message = body.get("error")?.get("message").or_else(|| body.get("error_description"))?;
    // In OData 3 the message is an object.
    let text = message.as_str().or_else(|| message.get("value")?.as_str())?;
    Some(text.chars().filter(|c| !c.is_control()).take(MESSAGE_LENGTH).collect())
}

/// Removes annotations.
fn plain(fields: Map<String, Value>) -> Map<String, Value> {
    fields.into_iter().filter(|(name, _)| !name.contains('@')).collect()
}
