use serde_json::Value as Json;
use windrow_client::proto;

use super::*;

fn run() -> proto::ScrapingJob {
    proto::ScrapingJob {
        job_id: "run".into(),
        status: proto::ScrapingJobStatus::Pending.into(),
        parameters: Some(proto::ScrapeParameters {
            listing_types: vec![proto::ListingType::ForSale.into()],
            request_delay: Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }),
            ..Default::default()
        }),
        created_at: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        properties_saved: 7,
        labels: [("team".to_owned(), "sales".to_owned())].into(),
        ..Default::default()
    }
}

#[test]
fn json_has_proto_names_times_numbers_and_words() {
    let json: Json = serde_json::from_str(&to_json(&run()).unwrap()).unwrap();

    assert_eq!(json["job_id"], "run");
    assert_eq!(json["status"], "pending");
    assert_eq!(json["origin"], "unspecified");
    assert_eq!(json["parameters"]["listing_types"][0], "for_sale");
    assert_eq!(json["parameters"]["request_delay"], "1.500s");
    assert_eq!(json["created_at"], "2023-11-14T22:13:20Z");
    assert_eq!(json["properties_saved"], 7);
    assert_eq!(json["properties_skipped"], 0);
    assert_eq!(json["labels"]["team"], "sales");
    assert_eq!(json["failed_locations"], Json::Array(vec![]));
    assert_eq!(json.get("completed_at"), None);
}

#[test]
fn whole_numbers_stay_whole() {
    let body = serde_json::json!({
        "price": 250_000, "lot": 0.25, "most": f64::MAX, "sold": null, "deep": [{ "rooms": [3, 2.5] }],
    });
    let Json::Object(fields) = body.clone() else { panic!("not an object") };
    let property =
        proto::Property { body: Some(windrow::json::to_struct(fields)), ..Default::default() };
    let json: Json = serde_json::from_str(&to_json(&property).unwrap()).unwrap();
    assert_eq!(json["body"], body);
    let change = proto::FieldChange {
        old_value: Some(windrow::json::to_value(Json::Null)),
        new_value: Some(windrow::json::to_value(250_000.into())),
        ..Default::default()
    };
    let expected = r#"{"field":"","old_value":null,"new_value":250000}"#;
    assert_eq!(to_json(&change).unwrap(), expected);
    let parameters = proto::ScrapeParameters { radius: Some(10.0), ..Default::default() };
    assert!(to_json(&parameters).unwrap().contains(r#""radius":10}"#));
}
