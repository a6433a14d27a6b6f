//! Properties: counted, deduplicated and saved in the transaction that reports an attempt's progress.

mod content;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use windrow_worker::{Report, ScrapedProperty};

use super::leases::{Holder, apply, lock_leased, progressed, to_results};
use super::logs::{append, to_lines};
use super::write_runs::write_changed;
use super::{App, AppError, commit};
use crate::domain::run::{Counts, Run};
use crate::store::properties::{self, PropertyRow, Writer};

pub use self::content::IgnoredFields;
pub use self::read::PropertyDetail;

/// Maximum number of properties of a report.
const REPORT_PROPERTIES: usize = 1_000;

impl App {
    /// Saves a batch of properties, location results and log lines in one transaction. Of each property of a
    /// run the first row counts, across batches and attempts. A repeated report counts once.
    pub async fn submit_properties(
        &self,
        holder: &Holder,
        mut report: Report,
    ) -> Result<Run, AppError> {
        normalize(&mut report)?;
        let now = self.now();
        let mut tx = self.begin().await?;
        let run = lock_leased(&mut tx, holder).await?;
        let Report { scraped_before, properties, update } = report;
        if run.state.counts.scraped != scraped_before {
            return repeated(run, scraped_before.saturating_add(count(properties.len())));
        }
        let found = save(&mut tx, &run, &properties, &self.ignored_fields(&run), now).await?;
        append(&mut tx, &run.spec.id, run.state.attempt, to_lines(update.lines), now).await?;
        let event = progressed(run.state.attempt, found, to_results(update.results));
        let run = apply(run, event, now)?;
        write_changed(&mut tx, std::slice::from_ref(&run)).await?;
        commit(tx).await?;
        self.events_committed();
        Ok(run)
    }
}

impl App {
    /// The fields of the run's source that are not part of the content.
    fn ignored_fields(&self, run: &Run) -> IgnoredFields {
        let source = run.spec.parameters.source.as_deref().unwrap_or_default();
        self.ignored_fields.get(source).cloned().unwrap_or_default()
    }
}

/// Checks a report. Every property of every source passes here before it is stored.
fn normalize(report: &mut Report) -> Result<(), AppError> {
    if report.properties.len() > REPORT_PROPERTIES {
        let text = format!("must have at most {REPORT_PROPERTIES} entries");
        return Err(AppError::invalid("properties", text));
    }
    if report.scraped_before < 0 {
        return Err(AppError::invalid("scraped_before", "must not be negative"));
    }
    for (index, row) in report.properties.iter_mut().enumerate() {
        row.property.normalize().map_err(|error| {
            let field = format!("properties[{index}].{}", error.field());
            AppError::invalid(&field, error.to_string())
        })?;
    }
    Ok(())
}

/// The run, if it has processed exactly this report already.
fn repeated(run: Run, scraped_after: i64) -> Result<Run, AppError> {
    if run.state.counts.scraped == scraped_after {
        return Ok(run);
    }
    let scraped = run.state.counts.scraped;
    Err(AppError::invalid("scraped_before", format!("does not match the run's count ({scraped})")))
}

async fn save(
    conn: &mut PgConnection,
    run: &Run,
    rows: &[ScrapedProperty],
    ignored: &IgnoredFields,
    now: DateTime<Utc>,
) -> Result<Counts, AppError> {
    let first = first_of_each(rows);
    if first.is_empty() {
        return Ok(Counts::default());
    }
    let ids: Vec<&str> = first.keys().copied().collect();
    let inserted = properties::run_properties_insert(conn, &run.spec.id, &ids).await?;
    let new_to_run: BTreeSet<&str> = inserted.iter().map(String::as_str).collect();
    let fresh: Vec<PropertyRow<'_>> = first
        .into_values()
        .filter(|row| new_to_run.contains(row.property.id.as_str()))
        .map(|row| property_row(run, row, ignored))
        .collect();
    let source = run.spec.parameters.source.as_deref().unwrap_or_default();
    let (inserted, updated) =
        write(conn, Writer { source, run: &run.spec.id, now }, &fresh, ignored).await?;
    if let Some(job) = &run.spec.scheduled_job_id {
        properties::scheduled_job_properties_insert(conn, job, source, &fresh).await?;
    }
    let (scraped, fresh, saved) = (count(rows.len()), count(fresh.len()), inserted + updated);
    Ok(Counts { scraped, saved, updated, skipped: fresh - saved, duplicate: scraped - fresh })
}

/// Writes properties that are new to the run; returns the numbers of inserted and of changed ones.
async fn write(
    conn: &mut PgConnection,
    writer: Writer<'_>,
    rows: &[PropertyRow<'_>],
    ignored: &IgnoredFields,
) -> Result<(i64, i64), AppError> {
    let inserted = properties::properties_insert(conn, writer, rows).await?;
    let new: BTreeSet<&str> = inserted.iter().map(String::as_str).collect();
    let known = rows.iter().filter(|row| !new.contains(row.property_id)).cloned();
    let known: Vec<PropertyRow<'_>> = known.collect();
    let updated = if known.is_empty() { 0 } else { update(conn, writer, &known, ignored).await? };
    Ok((count(inserted.len()), updated))
}

/// Updates properties that exist; returns the number of changed ones.
async fn update(
    conn: &mut PgConnection,
    writer: Writer<'_>,
    rows: &[PropertyRow<'_>],
    ignored: &IgnoredFields,
) -> Result<i64, AppError> {
    let before = properties::properties_lock_changed(conn, writer.source, rows).await?;
    let before: BTreeMap<String, Map<String, Value>> = before.into_iter().collect();
    let (mut changed, mut history) = (Vec::new(), Vec::new());
    let (mut refreshed, mut same) = (Vec::new(), Vec::new());
    for row in rows.iter().cloned() {
        let differences =
            before.get(row.property_id).map(|old| content::changes(old, row.body, ignored));
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
        properties::properties_seen(conn, writer, &same).await?;
    }
    if !refreshed.is_empty() {
        properties::properties_refresh(conn, writer, &refreshed).await?;
    }
    if !changed.is_empty() {
        properties::properties_change(conn, writer, &changed, &history).await?;
    }
    Ok(count(changed.len()))
}

/// The first row of each property, sorted by id.
fn first_of_each(rows: &[ScrapedProperty]) -> BTreeMap<&str, &ScrapedProperty> {
    let mut first = BTreeMap::new();
    for row in rows {
        first.entry(row.property.id.as_str()).or_insert(row);
    }
    first
}

fn property_row<'a>(
    run: &Run,
    row: &'a ScrapedProperty,
    ignored: &IgnoredFields,
) -> PropertyRow<'a> {
    let listing_type =
        content::listing_type(&row.property.body, &run.spec.parameters.listing_types);
    PropertyRow {
        property_id: &row.property.id,
        content_hash: content::hash(&row.property.body, ignored),
        body: &row.property.body,
        location: &row.location,
        listing_type: listing_type.map_or("", |kind| kind.into_str()),
    }
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use windrow_worker::Property;

    use super::*;

    #[test]
    fn the_first_row_of_a_property_counts() {
        let row = |id: &str, price: i32| ScrapedProperty {
            location: String::new(),
            property: Property::new(id, Map::from_iter([("price".to_owned(), json!(price))])),
        };
        let rows = [row("b", 1), row("a", 2), row("b", 3)];
        let first = first_of_each(&rows);
        assert_eq!(first["b"].property.body["price"], 1);
        assert_eq!(first.keys().collect::<Vec<_>>(), [&"a", &"b"]);
    }
}
