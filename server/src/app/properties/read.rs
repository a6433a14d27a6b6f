//! Reads properties and their history.

use sqlx::PgConnection;

use crate::app::page::PageReader;
use crate::app::{App, AppError, Page};
use crate::domain::property::{Property, PropertyChange, PropertyFilter};
use crate::store::Budget;
use crate::store::properties::{self, COUNT_LIMIT};
use crate::store::{runs, scheduled_jobs};

/// A property with its history.
#[derive(Clone, Debug)]
pub struct PropertyDetail {
    pub property: Property,
    pub changes: Page<PropertyChange>,
}

impl App {
    /// A page of properties, ordered by source and id.
    pub async fn list_properties(
        &self,
        filter: PropertyFilter,
        limit: i64,
    ) -> Result<Page<Property>, AppError> {
        let mut conn = self.begin_snapshot().await?;
        let Some(mut filter) = with_source(&mut conn, filter).await? else {
            return Ok(Page::default());
        };
        let mut page = PageReader::new(limit);
        while let Some(rows) = page.rows() {
            if let Some(Property { source, property_id, .. }) = page.last() {
                filter.after = Some((source.clone(), property_id.clone()));
            }
            let budget = &mut page.budget;
            let found = properties::properties_list(&mut conn, &filter, rows, budget).await?;
            page.add(rows, found);
        }
        Ok(page.page())
    }

    /// The number of matching properties up to the limit of counts, and whether there are more.
    pub async fn count_properties(&self, filter: PropertyFilter) -> Result<(i64, bool), AppError> {
        let mut conn = self.begin_snapshot().await?;
        let Some(filter) = with_source(&mut conn, filter).await? else { return Ok((0, false)) };
        let count = properties::properties_count(&mut conn, &filter).await?;
        Ok((count.min(COUNT_LIMIT), count > COUNT_LIMIT))
    }

    /// One property with up to `limit` of its newest changes; with `before`, of those with a lower number.
    pub async fn get_property(
        &self,
        source: &str,
        property_id: &str,
        before: Option<i64>,
        limit: i64,
    ) -> Result<PropertyDetail, AppError> {
        let mut tx = self.begin_snapshot().await?;
        let found = properties::property_get(&mut tx, source, property_id).await?;
        let property = found.ok_or_else(|| AppError::PropertyNotFound {
            source_name: source.to_owned(),
            property_id: property_id.to_owned(),
        })?;
        let mut changes = PageReader::within(Budget::beside(&property), limit);
        while let Some(rows) = changes.rows() {
            let before = changes.last().map(|change: &PropertyChange| change.number).or(before);
            let budget = &mut changes.budget;
            let found =
                properties::property_changes_list(&mut tx, &property, before, rows, budget).await?;
            changes.add(rows, found);
        }
        Ok(PropertyDetail { property, changes: changes.page() })
    }
}

/// The filter with the source of its run; `None` if nothing can match.
async fn with_source(
    conn: &mut PgConnection,
    filter: PropertyFilter,
) -> Result<Option<PropertyFilter>, AppError> {
    if let Some(id) = &filter.scheduled_job_id
        && scheduled_jobs::scheduled_job_get(conn, id).await?.is_none()
    {
        return Err(AppError::ScheduledJobNotFound(id.clone()));
    }
    let Some(id) = &filter.job_id else { return Ok(Some(filter)) };
    let run = runs::run_get(conn, id).await?;
    let run = run.ok_or_else(|| AppError::RunNotFound(id.clone()))?;
    let source = run.spec.parameters.source.clone();
    let of_other_job =
        filter.scheduled_job_id.is_some() && filter.scheduled_job_id != run.spec.scheduled_job_id;
    let of_other_source = filter.source.is_some() && filter.source != source;
    let possible = !of_other_job && !of_other_source;
    Ok(possible.then_some(PropertyFilter { source, ..filter }))
}
