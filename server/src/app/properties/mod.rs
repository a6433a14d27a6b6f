//! What an attempt found: counted, deduplicated and saved in the transaction that reports progress.

mod content;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::PgConnection;

use super::leases::{lock_fenced, lost, progressed};
use super::logs::append;
use super::write_runs::write_changed;
use super::{App, AppError, AttemptUpdate, Fence, commit};
use crate::domain::run::{Counts, Run};
use crate::store::properties::{self, PropertyRow, Writer};

pub use self::read::PropertyDetail;

/// One row as a source gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapedProperty {
    /// The source's id of the property.
    pub property_id: String,
    /// The location at which it was found.
    pub location: String,
    pub body: Map<String, Value>,
}

/// What an attempt reports at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The run's scraped rows before this report, as the last answer had them. They tell a report
    /// that is sent again, because its answer was lost, from a new one.
    pub scraped_before: i64,
    /// What was read since.
    pub rows: Vec<ScrapedProperty>,
    /// What else there is to say.
    pub update: AttemptUpdate,
}

impl App {
    /// Saves a batch of rows, how far the attempt got and its log, in one transaction. For each run and
    /// property the first row counts, across batches and attempts. A repeated report counts once.
    pub async fn submit_properties(&self, fence: &Fence, report: Report) -> Result<Run, AppError> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let run = lock_fenced(&mut tx, fence).await?;
        let Report { scraped_before, rows, update } = report;
        if run.state.counts.scraped != scraped_before {
            return seen(run, scraped_before + count(rows.len()));
        }
        let found = save(&mut tx, &run, &rows, now).await?;
        append(&mut tx, fence, update.lines, now).await?;
        let run =
            run.apply(progressed(fence, found, update.results), now).map_err(|_| lost(fence))?;
        write_changed(&mut tx, std::slice::from_ref(&run)).await?;
        commit(tx).await?;
        self.events_written();
        Ok(run)
    }
}

/// The run, if it has seen exactly this report.
fn seen(run: Run, scraped_after: i64) -> Result<Run, AppError> {
    if run.state.counts.scraped == scraped_after {
        return Ok(run);
    }
    let scraped = run.state.counts.scraped;
    Err(AppError::invalid("scraped_before", format!("is not what the run has: {scraped}")))
}

async fn save(
    conn: &mut PgConnection,
    run: &Run,
    rows: &[ScrapedProperty],
    now: DateTime<Utc>,
) -> Result<Counts, AppError> {
    let first = first_of_each(rows);
    if first.is_empty() {
        return Ok(Counts::default());
    }
    let ids: Vec<&str> = first.keys().copied().collect();
    let unread = properties::run_properties_insert(conn, &run.spec.id, &ids).await?;
    let unread: BTreeSet<&str> = unread.iter().map(String::as_str).collect();
    let fresh: Vec<PropertyRow<'_>> = first
        .into_values()
        .filter(|row| unread.contains(row.property_id.as_str()))
        .map(|row| property_row(run, row))
        .collect();
    let source = run.spec.parameters.source.as_deref().unwrap_or_default();
    let (inserted, updated) =
        write(conn, Writer { source, run: &run.spec.id, now }, &fresh).await?;
    if let Some(job) = &run.spec.scheduled_job_id {
        properties::scheduled_job_properties_insert(conn, job, source, &fresh).await?;
    }
    let (scraped, fresh, saved) = (count(rows.len()), count(fresh.len()), inserted + updated);
    Ok(Counts { scraped, saved, updated, skipped: fresh - saved, duplicate: scraped - fresh })
}

/// Writes rows that the run has not read before; returns how many were new, and how many different.
async fn write(
    conn: &mut PgConnection,
    writer: Writer<'_>,
    rows: &[PropertyRow<'_>],
) -> Result<(i64, i64), AppError> {
    let inserted = properties::properties_insert(conn, writer, rows).await?;
    let new: BTreeSet<&str> = inserted.iter().map(String::as_str).collect();
    let known = rows.iter().filter(|row| !new.contains(row.property_id)).cloned();
    let known: Vec<PropertyRow<'_>> = known.collect();
    let updated = if known.is_empty() { 0 } else { update(conn, writer, &known).await? };
    Ok((count(inserted.len()), updated))
}

/// Writes rows of properties that exist; returns how many were different.
async fn update(
    conn: &mut PgConnection,
    writer: Writer<'_>,
    rows: &[PropertyRow<'_>],
) -> Result<i64, AppError> {
    let before = properties::properties_lock_changed(conn, writer.source, rows).await?;
    let before: BTreeMap<String, Map<String, Value>> = before.into_iter().collect();
    let (changed, same): (Vec<_>, Vec<_>) =
        rows.iter().cloned().partition(|row| before.contains_key(row.property_id));
    if !same.is_empty() {
        properties::properties_seen(conn, writer, &same).await?;
    }
    if changed.is_empty() {
        return Ok(0);
    }
    let nothing = Map::new();
    let differences = |row: &PropertyRow<'_>| {
        content::changes(before.get(row.property_id).unwrap_or(&nothing), row.body)
    };
    let history: Vec<_> = changed.iter().map(differences).collect();
    properties::properties_change(conn, writer, &changed, &history).await?;
    Ok(count(changed.len()))
}

/// The first row of each property, sorted by id.
fn first_of_each(rows: &[ScrapedProperty]) -> BTreeMap<&str, &ScrapedProperty> {
    let mut first = BTreeMap::new();
    for row in rows {
        first.entry(row.property_id.as_str()).or_insert(row);
    }
    first
}

fn property_row<'a>(run: &Run, row: &'a ScrapedProperty) -> PropertyRow<'a> {
    let listing_type = content::listing_type(&row.body, &run.spec.parameters.listing_types);
    PropertyRow {
        property_id: &row.property_id,
        content_hash: content::hash(&row.body),
        body: &row.body,
        location: &row.location,
        listing_type: listing_type.map_or("", |kind| kind.word()),
    }
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_row_of_a_property_counts() {
        let row = |id: &str, price: i32| ScrapedProperty {
            property_id: id.to_owned(),
            location: String::new(),
            body: Map::from_iter([("price".to_owned(), json!(price))]),
        };
        let rows = [row("b", 1), row("a", 2), row("b", 3)];
        let first = first_of_each(&rows);
        assert_eq!(first["b"].body["price"], 1);
        assert_eq!(first.keys().collect::<Vec<_>>(), [&"a", &"b"]);
    }
}
