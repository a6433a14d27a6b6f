//! Pages and errors as OData has them in JSON.

use serde_json::{Map, Value};

/// Longest part of a server's sentence that is kept, in characters.
const MESSAGE: usize = 300;

/// One page of listings.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) listings: Vec<Map<String, Value>>,
    /// Where the next page is; the last one has none.
    pub(super) next: Option<String>,
}

impl Page {
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let mut page: Map<String, Value> =
            serde_json::from_slice(body).map_err(|error| format!("not a JSON object: {error}"))?;
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
            Some(_) => return Err("@odata.nextLink is not a text".to_owned()),
        };
        Ok(Self { listings, next })
    }
}

/// The server's own sentence about an error, if there is one in the body.
pub(super) fn error_message(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let message = body.get("error")?.get("message").or_else(|| body.get("error_description"))?;
    // OData 3 has an object there.
    let text = message.as_str().or_else(|| message.get("value")?.as_str())?;
    Some(text.chars().filter(|c| !c.is_control()).take(MESSAGE).collect())
}

/// Without annotations; a key that is a number becomes a text.
fn plain(fields: Map<String, Value>) -> Map<String, Value> {
    let mut fields: Map<String, Value> =
        fields.into_iter().filter(|(name, _)| !name.contains('@')).collect();
    if let Some(key @ Value::Number(_)) = fields.get(super::KEY) {
        let text = Value::String(key.to_string());
        fields.insert(super::KEY.to_owned(), text);
    }
    fields
}
