//! What a property says: when two sights of it are the same, and in which fields they differ.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::domain::parameters::ListingType;
use crate::store::properties::FieldChange;

/// Fields that say when a property was scraped; they do not make it another.
const SCRAPE_TIME_FIELDS: [&str; 5] =
    ["scraped_at", "last_scraped_at", "fetched_at", "crawled_at", "retrieved_at"];
/// The field in which a source says which kind of listing a row is.
const LISTING_TYPE: &str = "listing_type";

/// SHA-256 over the fields in the order of their keys, without those that say when.
pub(super) fn hash(body: &Map<String, Value>) -> Vec<u8> {
    let kept: BTreeMap<&String, Value> = body
        .iter()
        .filter(|(key, _)| tells(key))
        .map(|(key, value)| (key, sorted(value)))
        .collect();
    // A map with string keys always is JSON.
    let text = serde_json::to_vec(&kept).unwrap_or_default();
    Sha256::digest(text).to_vec()
}

/// The fields that differ, by name.
pub(super) fn changes(before: &Map<String, Value>, now: &Map<String, Value>) -> Vec<FieldChange> {
    let names: BTreeSet<&String> =
        before.keys().chain(now.keys()).filter(|key| tells(key)).collect();
    let differ = names.into_iter().filter(|name| before.get(*name) != now.get(*name));
    let change = |name: &String| FieldChange {
        field: name.clone(),
        old: before.get(name).cloned(),
        new: now.get(name).cloned(),
    };
    differ.map(change).collect()
}

/// The kind of listing that a row names, else the only one that was asked for.
pub(super) fn listing_type(
    body: &Map<String, Value>,
    wanted: &[ListingType],
) -> Option<ListingType> {
    let named = body.get(LISTING_TYPE).and_then(Value::as_str).and_then(|text| {
        let word = text.trim().to_lowercase().replace([' ', '-'], "_");
        ListingType::from_word(word.strip_prefix("listing_type_").unwrap_or(&word))
    });
    match (named, wanted) {
        (None, [only]) => Some(*only),
        (named, _) => named,
    }
}

fn tells(field: &str) -> bool {
    !SCRAPE_TIME_FIELDS.contains(&field)
}

/// The same value with the keys of every object in order, however they came.
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
            other => panic!("{other} is no object"),
        }
    }

    fn hash_of(value: Value) -> Vec<u8> {
        hash(&object(value))
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
    fn changed_new_and_removed_fields_are_told_apart() {
        let before = object(json!({ "same": 1, "price": 5, "gone": null, "scraped_at": "x" }));
        let now = object(json!({ "same": 1, "price": 6, "new": [1], "scraped_at": "y" }));
        let change = |field: &str, old, new| FieldChange { field: field.to_owned(), old, new };
        let expected = [
            change("gone", Some(Value::Null), None),
            change("new", None, Some(json!([1]))),
            change("price", Some(json!(5)), Some(json!(6))),
        ];
        assert_eq!(changes(&before, &now), expected);
        let text = serde_json::to_string(&expected).unwrap();
        assert_eq!(serde_json::from_str::<Vec<FieldChange>>(&text).unwrap(), expected);
    }

    #[test]
    fn a_row_says_its_kind_or_the_run_does() {
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
