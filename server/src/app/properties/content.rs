//! The content of properties: equality and differences of two versions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::domain::parameters::ListingType;
use crate::domain::property::FieldChange;

/// Fields with the time of scraping. They are not part of the content.
const SCRAPE_TIME_FIELDS: [&str; 5] =
    ["scraped_at", "last_scraped_at", "fetched_at", "crawled_at", "retrieved_at"];
/// The field with the listing type.
const LISTING_TYPE: &str = "listing_type";

/// Fields that a source reports but that are not part of the content, such as a count of days. Clones
/// share them.
#[derive(Clone, Debug, Default)]
pub struct IgnoredFields(Arc<BTreeSet<String>>);

impl IgnoredFields {
    pub fn new(names: BTreeSet<String>) -> Self {
        Self(Arc::new(names))
    }

    /// Whether the settings name no field.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn is_content(&self, field: &str) -> bool {
        !SCRAPE_TIME_FIELDS.contains(&field) && !self.0.contains(field)
    }
}

/// SHA-256 over the content as JSON with sorted keys.
pub(super) fn hash(body: &Map<String, Value>, ignored: &IgnoredFields) -> Vec<u8> {
    let content: BTreeMap<&String, Value> = body
        .iter()
        .filter(|(key, _)| ignored.is_content(key))
        .map(|(key, value)| (key, sorted(value)))
        .collect();
    // Never fails: the map has string keys.
    let text = serde_json::to_vec(&content).unwrap_or_default();
    Sha256::digest(text).to_vec()
}

/// The fields that differ, ordered by name.
pub(super) fn changes(
    before: &Map<String, Value>,
    now: &Map<String, Value>,
    ignored: &IgnoredFields,
) -> Vec<FieldChange> {
    let names: BTreeSet<&String> =
        before.keys().chain(now.keys()).filter(|key| ignored.is_content(key)).collect();
    let differ = names.into_iter().filter(|name| before.get(*name) != now.get(*name));
    let change = |name: &String| FieldChange {
        field: name.clone(),
        old: before.get(name).cloned(),
        new: now.get(name).cloned(),
    };
    differ.map(change).collect()
}

/// The listing type in the body; else the requested one, if there is only one.
pub(super) fn listing_type(
    body: &Map<String, Value>,
    requested: &[ListingType],
) -> Option<ListingType> {
    let named = body.get(LISTING_TYPE).and_then(Value::as_str).and_then(|text| {
        let word = text.trim().to_lowercase().replace([' ', '-'], "_");
        word.strip_prefix("listing_type_").unwrap_or(&word).parse().ok()
    });
    match (named, requested) {
        (None, [only]) => Some(*only),
        (named, _) => named,
    }
}

/// The value with the keys of every object sorted.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.iter().collect();
            fields.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(body) => body,
            other => panic!("{other} is not an object"),
        }
    }

    fn hash_of(value: Value) -> Vec<u8> {
        hash(&object(value), &IgnoredFields::default())
    }

    #[test]
    fn the_order_of_keys_and_the_time_of_scraping_do_not_matter() {
        let one = hash_of(json!({ "price": 1, "scraped_at": "x", "deep": { "a": [1], "b": 2 } }));
        let other = hash_of(json!({ "deep": { "b": 2, "a": [1] }, "price": 1 }));
        assert_eq!(one, other);
    }

    #[test]
    fn any_other_change_matters() {
        let one = hash_of(json!({ "price": 1 }));
        for other in [json!({ "price": 2 }), json!({ "price": "1" }), json!({ "prices": 1 })] {
            assert_ne!(one, hash_of(other));
        }
    }

    #[test]
    fn ignored_fields_do_not_matter() {
        let ignored = IgnoredFields::new(["days".to_owned()].into());
        let (before, now) = (object(json!({ "a": 1, "days": 1 })), object(json!({ "a": 1 })));
        assert_eq!(hash(&before, &ignored), hash(&now, &ignored));
        assert!(changes(&before, &now, &ignored).is_empty());
    }

    #[test]
    fn changed_new_and_removed_fields_are_distinguished() {
        let before = object(json!({ "same": 1, "price": 5, "gone": null, "scraped_at": "x" }));
        let now = object(json!({ "same": 1, "price": 6, "new": [1], "scraped_at": "y" }));
        let change = |field: &str, old, new| FieldChange { field: field.to_owned(), old, new };
        let expected = [
            change("gone", Some(Value::Null), None),
            change("new", None, Some(json!([1]))),
            change("price", Some(json!(5)), Some(json!(6))),
        ];
        assert_eq!(changes(&before, &now, &IgnoredFields::default()), expected);
        let text = serde_json::to_string(&expected).unwrap();
        assert_eq!(serde_json::from_str::<Vec<FieldChange>>(&text).unwrap(), expected);
    }

    #[test]
    fn the_listing_type_comes_from_the_body_or_the_run() {
        let check = |body: Value, wanted: &[ListingType], expected| {
            assert_eq!(listing_type(&object(body), wanted), expected);
        };
        let (sold, rent) = (ListingType::Sold, ListingType::ForRent);
        check(json!({ "listing_type": "FOR_RENT" }), &[sold], Some(rent));
        check(json!({ "listing_type": "For Rent" }), &[], Some(rent));
        check(json!({ "listing_type": "LISTING_TYPE_SOLD" }), &[], Some(sold));
        check(json!({ "listing_type": "barter" }), &[sold], Some(sold));
        check(json!({}), &[sold], Some(sold));
        check(json!({}), &[sold, rent], None);
    }
}
