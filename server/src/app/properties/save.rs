//! Saves the properties of several runs: counts them, inserts new ones, and compares and updates known ones.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use windrow_worker::ScrapedProperty;

use super::content::{self, IgnoredFields};
use crate::app::AppError;
use crate::domain::id::RunId;
use crate::domain::run::{Counts, Run};
use crate::store::properties::{self, PropertyKey, PropertyRow};

/// The rows of a run that may be saved. No other run of the same transaction has one of the properties.
pub(super) struct Accepted<'a> {
    pub(super) run: &'a Run,
    pub(super) rows: &'a [ScrapedProperty],
    /// The fields of the source that are not part of the content.
    pub(super) ignored: IgnoredFields,
}

/// The fields that are not part of the content, by run.
type Ignored<'a> = BTreeMap<&'a RunId, &'a IgnoredFields>;

/// Saves the rows, in the order in which all transactions lock properties; returns the counts of each run.
pub(super) async fn save(
    conn: &mut PgConnection,
    reports: &[Accepted<'_>],
    now: DateTime<Utc>,
) -> Result<Vec<Counts>, AppError> {
    let first: Vec<PropertyRow<'_>> = reports.iter().flat_map(first_rows).collect();
    if first.is_empty() {
        return Ok(vec![Counts::default(); reports.len()]);
    }
    let new_to_run = properties::run_properties_insert(conn, &first).await?;
    let new_to_run: BTreeSet<(&str, &str)> =
        new_to_run.iter().map(|(run, id)| (run.as_str(), id.as_str())).collect();
    let mut fresh = first;
    fresh.retain(|row| new_to_run.contains(&(row.run.as_str(), row.property_id)));
    fresh.sort_by_key(PropertyRow::key);
    let ignored = reports.iter().map(|report| (&report.run.spec.id, &report.ignored)).collect();
    let written = write(conn, &fresh, &ignored, now).await?;
    properties::scheduled_job_properties_insert(conn, &fresh).await?;
    Ok(reports.iter().map(|report| written.counts(report, &fresh)).collect())
}

/// The properties that were written.
struct Written {
    inserted: BTreeSet<PropertyKey>,
    updated: BTreeSet<PropertyKey>,
}

impl Written {
    fn counts(&self, report: &Accepted<'_>, fresh: &[PropertyRow<'_>]) -> Counts {
        let fresh: Vec<PropertyKey> = fresh
            .iter()
            .filter(|row| *row.run == report.run.spec.id)
            .map(PropertyRow::owned_key)
            .collect();
        let among = |keys: &BTreeSet<PropertyKey>| {
            count(fresh.iter().filter(|key| keys.contains(*key)).count())
        };
        let (scraped, updated) = (count(report.rows.len()), among(&self.updated));
        let (fresh, saved) = (count(fresh.len()), among(&self.inserted) + updated);
        Counts { scraped, saved, updated, skipped: fresh - saved, duplicate: scraped - fresh }
    }
}

/// Writes properties that are new to their run.
async fn write(
    conn: &mut PgConnection,
    rows: &[PropertyRow<'_>],
    ignored: &Ignored<'_>,
    now: DateTime<Utc>,
) -> Result<Written, AppError> {
    let inserted = properties::properties_insert(conn, rows, now).await?;
    let known = rows.iter().filter(|row| !inserted.contains(&row.owned_key())).cloned();
    let known: Vec<PropertyRow<'_>> = known.collect();
    let updated =
        if known.is_empty() { BTreeSet::new() } else { update(conn, &known, ignored, now).await? };
    Ok(Written { inserted, updated })
}

/// Updates properties that exist; returns the changed ones.
async fn update(
    conn: &mut PgConnection,
    rows: &[PropertyRow<'_>],
    ignored: &Ignored<'_>,
    now: DateTime<Utc>,
) -> Result<BTreeSet<PropertyKey>, AppError> {
    let before = properties::properties_lock_changed(conn, rows).await?;
    let nothing_ignored = IgnoredFields::default();
    let (mut changed, mut history) = (Vec::new(), Vec::new());
    let (mut refreshed, mut same) = (Vec::new(), Vec::new());
    for row in rows.iter().cloned() {
        let ignored = ignored.get(row.run).copied().unwrap_or(&nothing_ignored);
        let differences =
            before.get(&row.owned_key()).map(|old| content::changes(old, row.body, ignored));
        match differences {
            Some(differences) if !differences.is_empty() => {
                changed.push(row);
                history.push(differences);
            }
            None if ignored.is_empty() => same.push(row),
            // Only ignored fields differ, or the settings of ignored fields did.
            Some(_) | None => refreshed.push(row),
        }
    }
    if !same.is_empty() {
        properties::properties_seen(conn, &same, now).await?;
    }
    if !refreshed.is_empty() {
        properties::properties_refresh(conn, &refreshed, now).await?;
    }
    if !changed.is_empty() {
        properties::properties_change(conn, &changed, &history, now).await?;
    }
    Ok(changed.iter().map(PropertyRow::owned_key).collect())
}

/// The first row of each property.
fn first_rows<'a>(report: &Accepted<'a>) -> Vec<PropertyRow<'a>> {
    let mut first = BTreeMap::new();
    for row in report.rows {
        first.entry(row.property.id.as_str()).or_insert(row);
    }
    let row = |row| property_row(report.run, row, &report.ignored);
    first.into_values().map(row).collect()
}

fn property_row<'a>(
    run: &'a Run,
    row: &'a ScrapedProperty,
    ignored: &IgnoredFields,
) -> PropertyRow<'a> {
    let listing_type =
        content::listing_type(&row.property.body, &run.spec.parameters.listing_types);
    PropertyRow {
        source: run.spec.parameters.source.as_deref().unwrap_or_default(),
        property_id: &row.property.id,
        run: &run.spec.id,
        job: run.spec.scheduled_job_id.as_ref(),
        content_hash: content::hash(&row.property.body, ignored),
        body: &row.property.body,
        location: &row.location,
        listing_type: listing_type.map_or("", |kind| kind.into_str()),
    }
}

pub(super) fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
