//! Scrape parameters and their listing types.

use windrow::v1 as proto;

use super::primitives::{duration, to_duration};
use crate::app::AppError;
use crate::domain::parameters::{ListingType, ScrapeParameters};

/// Parameters, empty if absent. Paths are relative to them.
pub(in crate::grpc) fn parameters(
    parameters: Option<proto::ScrapeParameters>,
) -> Result<ScrapeParameters, AppError> {
    let parameters = parameters.unwrap_or_default();
    Ok(ScrapeParameters {
        listing_types: listing_types(&parameters.listing_types)?,
        request_delay: duration("request_delay", parameters.request_delay)?,
        locations: parameters.locations,
        past_days: parameters.past_days,
        radius: parameters.radius,
        limit: parameters.limit,
        source: parameters.source,
        full_scrape: parameters.full_scrape,
    })
}

fn listing_types(numbers: &[i32]) -> Result<Vec<ListingType>, AppError> {
    let read = |(index, number): (usize, &i32)| {
        let field = format!("listing_types[{index}]");
        let unspecified = || AppError::invalid(&field, "0 is not a listing type");
        listing_type(&field, *number)?.ok_or_else(unspecified)
    };
    numbers.iter().enumerate().map(read).collect()
}

/// The listing type; `None` if unspecified.
pub(in crate::grpc) fn listing_type(
    field: &str,
    number: i32,
) -> Result<Option<ListingType>, AppError> {
    match proto::ListingType::try_from(number) {
        Ok(proto::ListingType::Unspecified) => Ok(None),
        Ok(proto::ListingType::ForSale) => Ok(Some(ListingType::ForSale)),
        Ok(proto::ListingType::ForRent) => Ok(Some(ListingType::ForRent)),
        Ok(proto::ListingType::Sold) => Ok(Some(ListingType::Sold)),
        Ok(proto::ListingType::Pending) => Ok(Some(ListingType::Pending)),
        Err(_) => Err(AppError::invalid(field, format!("{number} is not a listing type"))),
    }
}

pub(super) fn to_parameters(parameters: &ScrapeParameters) -> proto::ScrapeParameters {
    let listing_types = parameters.listing_types.iter();
    proto::ScrapeParameters {
        locations: parameters.locations.clone(),
        listing_types: listing_types.map(|kind| to_listing_type(*kind).into()).collect(),
        past_days: parameters.past_days,
        radius: parameters.radius,
        limit: parameters.limit,
        request_delay: parameters.request_delay.and_then(to_duration),
        source: parameters.source.clone(),
        full_scrape: parameters.full_scrape,
    }
}

pub(in crate::grpc) fn to_listing_type(kind: ListingType) -> proto::ListingType {
    match kind {
        ListingType::ForSale => proto::ListingType::ForSale,
        ListingType::ForRent => proto::ListingType::ForRent,
        ListingType::Sold => proto::ListingType::Sold,
        ListingType::Pending => proto::ListingType::Pending,
    }
}
