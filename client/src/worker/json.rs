//! Parameters as JSON for sources: protobuf's JSON mapping with the field names of the contract.

use serde_json::{Map, Value, json};
use windrow::v1::ScrapeParameters;

/// Unset fields are absent.
pub(super) fn parameters(parameters: &ScrapeParameters) -> Value {
    let lists = [
        ("locations", json!(parameters.locations)),
        ("listing_types", parameters.listing_types().map(|kind| kind.as_str_name()).collect()),
    ];
    let scalars = [
        ("past_days", parameters.past_days.map(Value::from)),
        ("radius", parameters.radius.map(Value::from)),
        ("limit", parameters.limit.map(Value::from)),
        ("request_delay", parameters.request_delay.map(|delay| Value::from(delay.to_string()))),
        ("source", parameters.source.clone().map(Value::from)),
        ("full_scrape", parameters.full_scrape.map(Value::from)),
    ];
    let lists =
        lists.into_iter().filter(|(_, list)| list.as_array().is_some_and(|l| !l.is_empty()));
    let scalars = scalars.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let fields: Map<String, Value> =
        lists.chain(scalars).map(|(name, value)| (name.to_owned(), value)).collect();
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
    use windrow::v1::ListingType;

    use super::*;

    #[test]
    fn parameters_agree_with_the_protobuf_json_mapping() {
        let check = |message: ScrapeParameters| {
            assert_eq!(parameters(&message), by_reflection(&message));
        };
        check(ScrapeParameters::default());
        check(ScrapeParameters {
            locations: vec!["Indianapolis, IN".to_owned()],
            listing_types: vec![ListingType::ForSale.into(), ListingType::Sold.into()],
            past_days: Some(7),
            radius: Some(2.5),
            limit: Some(10),
            request_delay: Some(prost_types::Duration { seconds: 1, nanos: 250_000_000 }),
            source: Some("sample".to_owned()),
            full_scrape: Some(true),
        });
    }

    fn by_reflection(message: &ScrapeParameters) -> Value {
        let pool = DescriptorPool::decode(windrow::FILE_DESCRIPTOR_SET).unwrap();
        let descriptor = pool.get_message_by_name("windrow.v1.ScrapeParameters").unwrap();
        let mut dynamic = DynamicMessage::new(descriptor);
        dynamic.transcode_from(message).unwrap();
        let options = SerializeOptions::new().use_proto_field_name(true);
        dynamic.serialize_with_options(serde_json::value::Serializer, &options).unwrap()
    }
}
