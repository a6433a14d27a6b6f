//! Parameters as JSON: the protobuf JSON form with the fields' own names, as the database keeps them
//! and `exec` sources read them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::parameters::{ListingType, ScrapeParameters};

const LISTING_TYPE: &str = "LISTING_TYPE_";

/// Parameters in their JSON form.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ParametersRow {
    locations: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    listing_types: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    past_days: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    radius: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_delay: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_scrape: Option<bool>,
}

/// Parameters in their JSON form, for sources.
pub fn json(parameters: &ScrapeParameters) -> Value {
    // A struct of strings and numbers always is a JSON object.
    serde_json::to_value(ParametersRow::from(parameters)).unwrap_or_default()
}

impl From<&ScrapeParameters> for ParametersRow {
    fn from(parameters: &ScrapeParameters) -> Self {
        let name = |kind: &ListingType| format!("{LISTING_TYPE}{}", kind.into_str().to_uppercase());
        Self {
            locations: parameters.locations.clone(),
            listing_types: parameters.listing_types.iter().map(name).collect(),
            past_days: parameters.past_days,
            radius: parameters.radius,
            limit: parameters.limit,
            request_delay: parameters.request_delay.map(duration_text),
            source: parameters.source.clone(),
            full_scrape: parameters.full_scrape,
        }
    }
}

impl TryFrom<ParametersRow> for ScrapeParameters {
    type Error = String;

    fn try_from(row: ParametersRow) -> Result<Self, String> {
        Ok(Self {
            locations: row.locations,
            listing_types: row.listing_types.iter().map(listing_type).collect::<Result<_, _>>()?,
            past_days: row.past_days,
            radius: row.radius,
            limit: row.limit,
            request_delay: row.request_delay.as_deref().map(duration).transpose()?,
            source: row.source,
            full_scrape: row.full_scrape,
        })
    }
}

fn listing_type(name: &String) -> Result<ListingType, String> {
    name.strip_prefix(LISTING_TYPE)
        .and_then(|word| word.to_lowercase().parse().ok())
        .ok_or_else(|| format!("unknown listing type {name}"))
}

/// Seconds with up to nine decimals and an `s`, as protobuf's JSON writes a duration.
pub(super) fn duration_text(duration: Duration) -> String {
    let decimals = format!("{:09}", duration.subsec_nanos());
    match decimals.trim_end_matches('0') {
        "" => format!("{}s", duration.as_secs()),
        decimals => format!("{}.{decimals}s", duration.as_secs()),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let unknown = || format!("{text} is not a duration");
    let number = text.strip_suffix('s').ok_or_else(unknown)?;
    let (seconds, decimals) = number.split_once('.').unwrap_or((number, ""));
    let nanos = format!("{decimals:0<9}").parse().map_err(|_| unknown())?;
    Ok(Duration::new(seconds.parse().map_err(|_| unknown())?, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_survive_the_round_trip() {
        let parameters = ScrapeParameters {
            locations: vec!["Indianapolis, IN".to_owned()],
            listing_types: vec![ListingType::ForSale, ListingType::Pending],
            past_days: Some(7),
            radius: Some(2.5),
            limit: Some(10),
            request_delay: Some(Duration::from_millis(250)),
            source: Some("sample".to_owned()),
            full_scrape: Some(true),
        };
        let value = json(&parameters);
        assert_eq!(value["listing_types"][0], "LISTING_TYPE_FOR_SALE");
        assert_eq!(value["request_delay"], "0.25s");
        let row: ParametersRow = serde_json::from_value(value).unwrap();
        assert_eq!(ScrapeParameters::try_from(row).unwrap(), parameters);
    }

    #[test]
    fn absent_parameters_stay_absent() {
        let value = json(&ScrapeParameters::default());
        assert_eq!(value, serde_json::json!({ "locations": [] }));
    }
}
