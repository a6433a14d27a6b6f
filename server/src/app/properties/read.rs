//! Looking at what the runs found.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::app::{App, AppError};
use crate::domain::id::{RunId, ScheduledJobId};
use crate::domain::parameters::ListingType;
use crate::store::properties::{self, Property, PropertyChange, PropertyFilter};
use crate::store::runs::COUNT_LIMIT;
use crate::store::{runs, scheduled_jobs};

/// Which properties somebody wants to see.
#[derive(Clone, Debug, Default)]
pub struct PropertiesWanted {
    /// Only of this source.
    pub source: Option<String>,
    /// Only those that a run of this scheduled job has found.
    pub scheduled_job_id: Option<ScheduledJobId>,
    /// Only those that this run has read.
    pub job_id: Option<RunId>,
    /// Only those last found there.
    pub location: Option<String>,
    /// Only of this kind.
    pub listing_type: Option<ListingType>,
    /// Only those first seen or changed since.
    pub changed_since: Option<DateTime<Utc>>,
    /// Where the page begins: after this source and id.
    pub after: Option<(String, String)>,
    /// At most so many.
    pub limit: i64,
}

/// A page of properties by source and id.
#[derive(Clone, Debug, Default)]
pub struct PropertyPage {
    /// The properties.
    pub properties: Vec<Property>,
    /// Where the next page begins, if there is one.
    pub next: Option<(String, String)>,
}

/// A property with its history.
#[derive(Clone, Debug)]
pub struct PropertyDetail {
    /// The property.
    pub property: Property,
    /// Its newest changes.
    pub changes: Vec<PropertyChange>,
    /// How many changes there are.
    pub total_changes: i64,
}

impl App {
    /// A page of properties.
    pub async fn list_properties(
        &self,
        wanted: PropertiesWanted,
    ) -> Result<PropertyPage, AppError> {
        let mut conn = self.begin_snapshot().await?;
        let limit = wanted.limit;
        let Some(filter) = filter(&mut conn, wanted).await? else {
            return Ok(PropertyPage::default());
        };
        // One more than wanted tells whether there is a next page.
        let mut found = properties::properties_list(&mut conn, &filter, limit + 1).await?;
        let has_more = i64::try_from(found.len()).is_ok_and(|length| length > limit);
        if has_more {
            found.pop();
        }
        let place = |property: &Property| (property.source.clone(), property.property_id.clone());
        let next = found.last().filter(|_| has_more).map(place);
        Ok(PropertyPage { properties: found, next })
    }

    /// How many properties match on all pages, and whether there are more.
    pub async fn count_properties(
        &self,
        wanted: PropertiesWanted,
    ) -> Result<(i64, bool), AppError> {
        let mut conn = self.begin_snapshot().await?;
        let Some(filter) = filter(&mut conn, wanted).await? else { return Ok((0, false)) };
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
        Ok(PropertyDetail {
            property,
            changes: properties::property_changes_list(&mut tx, source, property_id, limit).await?,
            total_changes: properties::property_changes_count(&mut tx, source, property_id).await?,
        })
    }
}

/// What to look for; `None` when nothing can match.
async fn filter(
    conn: &mut PgConnection,
    wanted: PropertiesWanted,
) -> Result<Option<PropertyFilter>, AppError> {
    if let Some(id) = &wanted.scheduled_job_id
        && scheduled_jobs::scheduled_job_get(conn, id).await?.is_none()
    {
        return Err(AppError::ScheduledJobNotFound(id.clone()));
    }
    let mut source = wanted.source;
    if let Some(id) = &wanted.job_id {
        let run = runs::run_get(conn, id).await?;
        let run = run.ok_or_else(|| AppError::RunNotFound(id.clone()))?;
        let of_other_job =
            wanted.scheduled_job_id.is_some() && wanted.scheduled_job_id != run.scheduled_job_id;
        let of_other_source = source.is_some() && source != run.parameters.source;
        if of_other_job || of_other_source {
            return Ok(None);
        }
        source = run.parameters.source;
    }
    Ok(Some(PropertyFilter {
        source,
        scheduled_job_id: wanted.scheduled_job_id,
        job_id: wanted.job_id,
        location: wanted.location,
        listing_type: wanted.listing_type,
        changed_since: wanted.changed_since,
        after: wanted.after,
    }))
}
