//! Reads properties and their history.

use sqlx::PgConnection;

use crate::app::page::query_limit;
use crate::app::{App, AppError, Page};
use crate::domain::property::{Property, PropertyChange, PropertyFilter};
use crate::store::properties::{self, COUNT_LIMIT};
use crate::store::{runs, scheduled_jobs};

/// A property with its history.
#[derive(Clone, Debug)]
pub struct PropertyDetail {
    pub property: Property,
    pub changes: Vec<PropertyChange>,
}

impl App {
    /// A page of properties, ordered by source and id.
    pub async fn list_properties(
        &self,
        filter: PropertyFilter,
        limit: i64,
    ) -> Result<Page<Property>, AppError> {
        let mut conn = self.begin_snapshot().await?;
        let Some(filter) = with_source(&mut conn, filter).await? else {
            return Ok(Page::default());
        };
        let rows = properties::properties_list(&mut conn, &filter, query_limit(limit)).await?;
        Ok(Page::from_rows(rows, limit))
    }

    /// The number of matching properties up to the limit of counts, and whether there are more.
    pub async fn count_properties(&self, filter: PropertyFilter) -> Result<(i64, bool), AppError> {
        let mut conn = self.begin_snapshot().await?;
        let Some(filter) = with_source(&mut conn, filter).await? else { return Ok((0, false)) };
        let count = properties::properties_count(&mut conn, &filter).await?;
        Ok((count.min(COUNT_LIMIT), count > COUNT_LIMIT))
    }

    /// One property with its `limit` newest changes.
    pub async fn get_property(
        &self,
        source: &str,
        property_id: &str,
        limit: i64,
    ) -> Result<PropertyDetail, AppError> {
        let mut tx = self.begin_snapshot().await?;
        let found = properties::property_get(&mut tx, source, property_id).await?;
        let property = found.ok_or_else(|| AppError::PropertyNotFound {
            source_name: source.to_owned(),
            property_id: property_id.to_owned(),
        })?;
        let changes =
            properties::property_changes_list(&mut tx, source, property_id, limit).await?;
        Ok(PropertyDetail { property, changes })
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
