//! `PropertyService`: the properties that runs have found.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, TryStreamExt, stream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, async_trait};
use windrow::json::{to_struct, to_value};
use windrow::v1 as proto;
use windrow::v1::property_service_server::PropertyService;

use super::convert::{self, to_time};
use super::page::{self, PageTokens};
use super::status::{status, within};
use crate::app::{App, AppError, Page};
use crate::domain::property::{FieldChange, Property, PropertyChange, PropertyFilter};

/// Maximum properties in one message of an export.
const BATCH: i64 = 500;

type Exported = Result<proto::ExportPropertiesResponse, Status>;

pub(super) struct Properties {
    app: Arc<App>,
    closing: CancellationToken,
}

impl Properties {
    pub(super) fn new(app: Arc<App>, closing: CancellationToken) -> Self {
        Self { app, closing }
    }

    async fn list(
        &self,
        request: proto::ListPropertiesRequest,
    ) -> Result<proto::ListPropertiesResponse, AppError> {
        let limit = page::size("page_size", request.page_size)?;
        let tokens = tokens("Properties", request.filter.as_ref());
        let filter = filter(&tokens, request.filter, &request.page_token)?;
        let found = self.app.list_properties(filter.clone(), limit).await?;
        let (total, total_is_lower_bound) = self.app.count_properties(filter).await?;
        Ok(proto::ListPropertiesResponse {
            next_page_token: tokens.next(found.next_after().map(position)),
            properties: found.items.into_iter().map(to_property).collect(),
            total,
            total_is_lower_bound,
        })
    }

    async fn get(
        &self,
        request: &proto::GetPropertyRequest,
    ) -> Result<proto::GetPropertyResponse, AppError> {
        for (field, value) in [("source", &request.source), ("property_id", &request.property_id)] {
            if value.is_empty() {
                return Err(AppError::invalid(field, "is required"));
            }
            convert::short_text(field, value.clone())?;
        }
        let limit = page::size("limit", request.limit)?;
        let (source, id) = (&request.source, &request.property_id);
        let tokens = PageTokens::new(&format!("Property {source} {id}"));
        let before = tokens.read(&request.page_token)?;
        let found = self.app.get_property(source, id, before, limit).await?;
        let total_changes = found.property.change_count;
        Ok(proto::GetPropertyResponse {
            next_page_token: tokens.next(found.changes.next_after().map(|change| change.number)),
            property: Some(to_property(found.property)),
            changes: found.changes.items.into_iter().map(to_change).collect(),
            total_changes,
        })
    }

    /// Reads the first batch before the stream starts, so that an error is returned as the status of the call.
    async fn export(
        &self,
        request: proto::ExportPropertiesRequest,
    ) -> Result<impl Stream<Item = Exported> + Send + 'static, AppError> {
        let tokens = tokens("Export", request.filter.as_ref());
        let filter = filter(&tokens, request.filter, &request.page_token)?;
        let first = self.app.list_properties(filter.clone(), BATCH).await?;
        let app = Arc::clone(&self.app);
        let batches = stream::try_unfold(Some(first), move |page| {
            let (app, filter) = (Arc::clone(&app), filter.clone());
            async move {
                let Some(page) = page else { return Ok(None) };
                // Read the next batch while the previous one is being sent.
                let next = match page.next_after().map(position) {
                    Some(after) => {
                        let filter = PropertyFilter { after: Some(after), ..filter };
                        Some(app.list_properties(filter, next_limit(&page)).await?)
                    }
                    None => None,
                };
                Ok::<_, AppError>(Some((page, next)))
            }
        });
        let exported = batches.map_ok(move |page| proto::ExportPropertiesResponse {
            next_page_token: tokens.next(page.next_after().map(position)),
            properties: page.items.into_iter().map(to_property).collect(),
        });
        Ok(super::until_closing(exported.map_err(status), self.closing.clone()))
    }
}

/// Rows to query for the next message. Where only a few large ones fit, Postgres need not prepare many more.
fn next_limit(page: &Page<Property>) -> i64 {
    i64::try_from(page.items.len()).map_or(BATCH, |count| (2 * count).min(BATCH))
}

fn tokens(method: &str, filter: Option<&proto::PropertyFilter>) -> PageTokens {
    let filter = filter.cloned().unwrap_or_default();
    PageTokens::new(&format!("{method} {filter:?}"))
}

fn position(property: &Property) -> (String, String) {
    (property.source.clone(), property.property_id.clone())
}

fn filter(
    tokens: &PageTokens,
    filter: Option<proto::PropertyFilter>,
    page_token: &str,
) -> Result<PropertyFilter, AppError> {
    let after = tokens.read(page_token)?;
    let filter = conditions(filter.unwrap_or_default()).map_err(within("filter"))?;
    Ok(PropertyFilter { after, ..filter })
}

fn conditions(filter: proto::PropertyFilter) -> Result<PropertyFilter, AppError> {
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let job = convert::optional_scheduled_job_id("scheduled_job_id", &filter.scheduled_job_id)?;
    let run = given(filter.job_id);
    Ok(PropertyFilter {
        source: given(convert::short_text("source", filter.source)?),
        scheduled_job_id: job,
        job_id: run.map(|id| convert::run_id("job_id", &id)).transpose()?,
        location: given(convert::short_text("location", filter.location)?),
        listing_type: convert::listing_type("listing_type", filter.listing_type)?,
        changed_since: convert::time("changed_since", filter.changed_since)?,
        ..PropertyFilter::default()
    })
}

fn to_property(property: Property) -> proto::Property {
    proto::Property {
        source: property.source,
        property_id: property.property_id,
        body: Some(to_struct(property.body)),
        location: property.location,
        listing_type: property.listing_type.map_or(0, |kind| convert::to_listing_type(kind).into()),
        first_seen_at: Some(to_time(property.first_seen_at)),
        first_job_id: property.first_job_id,
        last_seen_at: Some(to_time(property.last_seen_at)),
        last_job_id: property.last_job_id,
        changed_at: Some(to_time(property.changed_at)),
    }
}

fn to_change(change: PropertyChange) -> proto::PropertyChange {
    let field = |field: FieldChange| proto::FieldChange {
        field: field.field,
        old_value: field.old.map(to_value),
        new_value: field.new.map(to_value),
    };
    proto::PropertyChange {
        job_id: change.job_id,
        changed_at: Some(to_time(change.changed_at)),
        fields: change.fields.into_iter().map(field).collect(),
    }
}

#[async_trait]
impl PropertyService for Properties {
    type ExportPropertiesStream = Pin<Box<dyn Stream<Item = Exported> + Send>>;

    async fn list_properties(
        &self,
        request: Request<proto::ListPropertiesRequest>,
    ) -> Result<Response<proto::ListPropertiesResponse>, Status> {
        self.list(request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn get_property(
        &self,
        request: Request<proto::GetPropertyRequest>,
    ) -> Result<Response<proto::GetPropertyResponse>, Status> {
        self.get(request.get_ref()).await.map(Response::new).map_err(status)
    }

    async fn export_properties(
        &self,
        request: Request<proto::ExportPropertiesRequest>,
    ) -> Result<Response<Self::ExportPropertiesStream>, Status> {
        let exported = self.export(request.into_inner()).await.map_err(status)?;
        Ok(Response::new(Box::pin(exported)))
    }
}
