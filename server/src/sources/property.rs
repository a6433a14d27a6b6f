//! Properties from the JSON objects of sources.

use serde_json::{Map, Value};

use super::Property;

/// A property whose id is the field `key`. The error completes "line 3: …".
pub(super) fn property(mut body: Map<String, Value>, key: &str) -> Result<Property, String> {
    let id = match body.remove(key) {
        Some(Value::String(id)) => id,
        Some(_) => return Err(format!("{key} must be a string")),
        None => return Err(format!("{key} is missing")),
    };
    let property = Property::new(id, body);
    property.check().map_err(|error| error.to_string().replace("property_id", key))?;
    Ok(property)
}
