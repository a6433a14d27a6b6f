//! The JSON object that a program reads from stdin: a public contract of its own. Neither the API nor the
//! database has to keep this form.

use chrono::{DateTime, SecondsFormat, Utc};
use prost_types::Duration as ProtoDuration;
use serde_json::{Map, Value, json};

use crate::domain::parameters::{ListingType, ScrapeParameters};
use crate::sources::ScrapeRequest;

/// Version of the object.
const SCHEMA: u32 = 1;

/// One JSON object and a newline.
pub(super) fn input(request: &ScrapeRequest) -> String {
    let object = json!({
        "schema": SCHEMA,
        "job_id": request.job_id,
        "attempt": request.attempt,
        "scheduled_job_id": request.scheduled_job_id,
        "origin": request.origin,
        "tick_at": request.tick_at.map(rfc3339),
        "reference_time": rfc3339(request.reference_time),
        "location": request.location,
        "parameters": request.parameters,
    });
    format!("{object}\n")
}

/// Parameters as protobuf's JSON with `snake_case` names; unset ones are absent.
pub fn parameters_json(parameters: &ScrapeParameters) -> Value {
    let ScrapeParameters {
        locations,
        listing_types,
        past_days,
        radius,
        limit,
        request_delay,
        source,
        full_scrape,
    } = parameters;
    let listing_types: Vec<String> = listing_types
        .iter()
        .map(|kind| format!("LISTING_TYPE_{}", listing_type_name(*kind)))
        .collect();
    let delay = request_delay.and_then(|delay| ProtoDuration::try_from(delay).ok());
    let fields = [
        ("locations", Some(json!(locations))),
        ("listing_types", (!listing_types.is_empty()).then(|| json!(listing_types))),
        ("past_days", past_days.map(Value::from)),
        ("radius", radius.map(Value::from)),
        ("limit", limit.map(Value::from)),
        ("request_delay", delay.map(|delay| Value::from(delay.to_string()))),
        ("source", source.clone().map(Value::from)),
        ("full_scrape", full_scrape.map(Value::from)),
    ];
    let set = |(name, value): (&str, Option<Value>)| Some((name.to_owned(), value?));
    Value::Object(fields.into_iter().filter_map(set).collect::<Map<_, _>>())
}

/// The name of a listing type as sources know it, for example `FOR_SALE`.
pub fn listing_type_name(listing_type: ListingType) -> String {
    listing_type.into_str().to_uppercase()
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sources::tests::request;

    fn all_parameters() -> ScrapeParameters {
        ScrapeParameters {
            locations: vec!["Indianapolis, IN".to_owned(), "46201".to_owned()],
            listing_types: vec![ListingType::ForSale, ListingType::Pending],
            past_days: Some(7),
            radius: Some(2.5),
            limit: Some(10),
            request_delay: Some(Duration::from_millis(250)),
            source: Some("mls".to_owned()),
            full_scrape: Some(true),
        }
    }

    #[test]
    fn a_program_reads_exactly_this() {
        let request = ScrapeRequest {
            scheduled_job_id: Some("sold-daily".to_owned()),
            origin: "scheduled".to_owned(),
            tick_at: Some("2025-01-02T03:00:00Z".parse().unwrap()),
            reference_time: "2025-01-02T03:00:00.5Z".parse().unwrap(),
            parameters: parameters_json(&all_parameters()),
            ..request()
        };
        let expected = concat!(
            r#"{"attempt":2,"job_id":"job-1","location":"Dallas, TX","origin":"scheduled","#,
            r#""parameters":{"full_scrape":true,"limit":10,"#,
            r#""listing_types":["LISTING_TYPE_FOR_SALE","LISTING_TYPE_PENDING"],"#,
            r#""locations":["Indianapolis, IN","46201"],"past_days":7,"radius":2.5,"#,
            r#""request_delay":"0.250s","source":"mls"},"#,
            r#""reference_time":"2025-01-02T03:00:00.500Z","scheduled_job_id":"sold-daily","#,
            r#""schema":1,"tick_at":"2025-01-02T03:00:00Z"}"#,
            "\n"
        );
        assert_eq!(input(&request), expected);
    }

    #[test]
    fn unset_parameters_are_absent() {
        let parameters = ScrapeParameters::default();
        assert_eq!(parameters_json(&parameters), json!({ "locations": [] }));
    }
}
