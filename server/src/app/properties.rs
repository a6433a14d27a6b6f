//! What an attempt found: counted, deduplicated and saved in the transaction that reports progress.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::changes::write_changed;
use super::leases::lock_fenced;
use super::{App, AppError, Fence, commit};
use crate::domain::run::{Counts, Event, Progress, Run};
use crate::store::properties::{self, PropertyRow};

/// Fields that say when a property was scraped; they do not make it another.
const SCRAPE_TIME_FIELDS: [&str; 5] =
    ["scraped_at", "last_scraped_at", "fetched_at", "crawled_at", "retrieved_at"];

/// One row as a source gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapedProperty {
    /// The source's id of the property.
    pub property_id: String,
    /// All other fields.
    pub body: Map<String, Value>,
}

/// What an attempt reports at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The run's scraped rows before this report, as the last answer had them. They tell a report
    /// that is sent again, because its answer was lost, from a new one.
    pub scraped_before: i64,
    /// What was read since.
    pub rows: Vec<ScrapedProperty>,
    /// How far the attempt has got.
    pub progress: Progress,
}

impl App {
    /// Saves a batch of rows and how far the attempt got, in one transaction. For each run and property
    /// the first row counts, across batches and attempts. A repeated report counts once.
    pub async fn submit_properties(&self, fence: &Fence, report: Report) -> Result<Run, AppError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let run = lock_fenced(&mut tx, fence).await?;
        let Report { scraped_before, rows, progress } = report;
        if run.counts.scraped != scraped_before {
            return seen(run, scraped_before + count(rows.len()));
        }
        let counts = run.counts + save(&mut tx, &run, rows, now).await?;
        let event = Event::Progressed { attempt: fence.attempt, counts, progress };
        let lost = |_| AppError::LeaseLost { run: fence.run.clone(), attempt: fence.attempt };
        let run = run.apply(event, now).map_err(lost)?;
        write_changed(&mut tx, std::slice::from_ref(&run)).await?;
        commit(tx).await?;
        self.events_written();
        Ok(run)
    }
}

/// The run, if it has seen exactly this report.
fn seen(run: Run, scraped_after: i64) -> Result<Run, AppError> {
    if run.counts.scraped == scraped_after {
        return Ok(run);
    }
    let scraped = run.counts.scraped;
    Err(AppError::invalid("scraped_before", format!("is not what the run has: {scraped}")))
}

async fn save(
    conn: &mut PgConnection,
    run: &Run,
    rows: Vec<ScrapedProperty>,
    now: DateTime<Utc>,
) -> Result<Counts, AppError> {
    let scraped = count(rows.len());
    if scraped == 0 {
        return Ok(Counts::default());
    }
    let first = first_of_each(rows);
    let ids: Vec<String> = first.keys().cloned().collect();
    let new: BTreeSet<String> =
        properties::run_properties_insert(conn, &run.id, &ids).await?.into_iter().collect();
    let fresh: Vec<PropertyRow> = first
        .into_iter()
        .filter(|(id, _)| new.contains(id))
        .map(|(id, body)| property_row(id, body))
        .collect();
    let source = run.parameters.source.as_deref().unwrap_or_default();
    let saved = properties::properties_upsert(conn, source, &run.id, &fresh, now).await?;
    let saved = i64::try_from(saved).unwrap_or(i64::MAX);
    let fresh = count(fresh.len());
    Ok(Counts { scraped, saved, skipped: fresh - saved, duplicate: scraped - fresh })
}

/// The first row of each property, sorted by id.
fn first_of_each(rows: Vec<ScrapedProperty>) -> BTreeMap<String, Map<String, Value>> {
    let mut first = BTreeMap::new();
    for row in rows {
        first.entry(row.property_id).or_insert(row.body);
    }
    first
}

fn property_row(property_id: String, body: Map<String, Value>) -> PropertyRow {
    let content_hash = content_hash(&body);
    PropertyRow { property_id, content_hash, body: Value::Object(body) }
}

/// SHA-256 over the fields in the order of their keys, without those that say when.
fn content_hash(body: &Map<String, Value>) -> Vec<u8> {
    let kept = body.iter().filter(|(key, _)| !SCRAPE_TIME_FIELDS.contains(&key.as_str()));
    let kept: BTreeMap<&String, Value> = kept.map(|(key, value)| (key, sorted(value))).collect();
    // A map with string keys always is JSON.
    let text = serde_json::to_vec(&kept).unwrap_or_default();
    Sha256::digest(text).to_vec()
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

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hash(value: Value) -> Vec<u8> {
        match value {
            Value::Object(body) => content_hash(&body),
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn the_order_of_keys_and_the_time_of_scraping_do_not_matter() {
        let one = hash(json!({ "price": 1, "scraped_at": "x", "deep": { "a": [1], "b": 2 } }));
        let other = hash(json!({ "deep": { "b": 2, "a": [1] }, "price": 1 }));
        assert_eq!(one, other);
    }

    #[test]
    fn any_other_change_matters() {
        let one = hash(json!({ "price": 1 }));
        for other in [json!({ "price": 2 }), json!({ "price": "1" }), json!({ "prices": 1 })] {
            assert_ne!(one, hash(other));
        }
    }

    #[test]
    fn the_first_row_of_a_property_counts() {
        let row = |id: &str, price: i32| ScrapedProperty {
            property_id: id.to_owned(),
            body: Map::from_iter([("price".to_owned(), json!(price))]),
        };
        let first = first_of_each(vec![row("b", 1), row("a", 2), row("b", 3)]);
        assert_eq!(first["b"]["price"], 1);
        assert_eq!(first.keys().collect::<Vec<_>>(), ["a", "b"]);
    }
}
