//! Properties and their changes, for people.

use prost_types::value::Kind;
use windrow_client::proto;

use super::table::{details, table};
use super::{NONE, ago, page_end, short, time, time_and_ago};

/// Longest value in a table, in characters.
const VALUE: usize = 60;

pub(crate) fn properties(answer: &proto::ListPropertiesResponse) -> String {
    let header = ["SOURCE", "PROPERTY ID", "LOCATION", "KIND", "CHANGED", "LAST SEEN"];
    let rows = answer.properties.iter().map(|property| {
        [
            property.source.clone(),
            property.property_id.clone(),
            property.location.clone(),
            kind(property),
            ago(property.changed_at.as_ref()),
            ago(property.last_seen_at.as_ref()),
        ]
    });
    let more = if answer.total_is_lower_bound { "more than " } else { "" };
    let counted = format!("{} of {more}{} properties", answer.properties.len(), answer.total);
    format!("{}\n{}", table(header, rows), page_end(&counted, &answer.next_page_token))
}

pub(crate) fn property_with_changes(answer: &proto::GetPropertyResponse) -> String {
    let counted = format!("{} of {} changes", answer.changes.len(), answer.total_changes);
    let property = property(answer.property.as_ref());
    if answer.changes.is_empty() {
        return format!("{property}\n\n{counted}");
    }
    let rows = answer.changes.iter().flat_map(|change| {
        change.fields.iter().map(|field| {
            [
                time(change.changed_at.as_ref()),
                field.field.clone(),
                value(field.old_value.as_ref()),
                value(field.new_value.as_ref()),
                change.job_id.clone(),
            ]
        })
    });
    let changes = table(["CHANGED", "FIELD", "OLD", "NEW", "RUN"], rows);
    format!("{property}\n\n{changes}\n{counted}")
}

fn property(property: Option<&proto::Property>) -> String {
    let Some(property) = property else { return NONE.to_owned() };
    let seen = |at: Option<&prost_types::Timestamp>, run: &str| format!("{} by {run}", time(at));
    let first = seen(property.first_seen_at.as_ref(), &property.first_job_id);
    let last = seen(property.last_seen_at.as_ref(), &property.last_job_id);
    let mut lines = vec![
        ("Source", property.source.clone()),
        ("Property id", property.property_id.clone()),
        ("Location", property.location.clone()),
        ("Kind", kind(property)),
        ("First seen", first),
        ("Last seen", last),
        ("Changed", time_and_ago(property.changed_at.as_ref())),
    ];
    let body = property.body.iter().flat_map(|body| &body.fields);
    lines.extend(body.map(|(name, field)| (name.as_str(), value(Some(field)))));
    details(lines)
}

fn kind(property: &proto::Property) -> String {
    match property.listing_type() {
        proto::ListingType::Unspecified => NONE.to_owned(),
        kind => short(kind.as_str_name(), "LISTING_TYPE_"),
    }
}

/// As JSON would have it, cut where it gets long; a dash is what is not there.
fn value(value: Option<&prost_types::Value>) -> String {
    let Some(value) = value else { return NONE.to_owned() };
    let text = json(value);
    if text.chars().count() <= VALUE {
        return text;
    }
    let cut: String = text.chars().take(VALUE - 1).collect();
    format!("{cut}…")
}

fn json(value: &prost_types::Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match &value.kind {
        None | Some(Kind::NullValue(_)) => "null".to_owned(),
        Some(Kind::NumberValue(number)) => number.to_string(),
        Some(Kind::StringValue(text)) => text.clone(),
        Some(Kind::BoolValue(is)) => is.to_string(),
        Some(Kind::ListValue(items)) => {
            format!("[{}]", list(items.values.iter().map(json).collect()))
        }
        Some(Kind::StructValue(fields)) => {
            let field =
                |(name, value): (&String, &prost_types::Value)| format!("{name}: {}", json(value));
            format!("{{{}}}", list(fields.fields.iter().map(field).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(kind: Kind) -> Option<prost_types::Value> {
        Some(kind).map(|kind| prost_types::Value { kind: Some(kind) })
    }

    #[test]
    fn a_change_shows_old_and_new() {
        let change = proto::PropertyChange {
            job_id: "run".to_owned(),
            fields: vec![
                proto::FieldChange {
                    field: "price".to_owned(),
                    old_value: is(Kind::NumberValue(100.0)),
                    new_value: is(Kind::NumberValue(99.5)),
                },
                proto::FieldChange {
                    field: "pool".to_owned(),
                    old_value: None,
                    new_value: is(Kind::BoolValue(true)),
                },
            ],
            ..Default::default()
        };
        let shown = property_with_changes(&proto::GetPropertyResponse {
            property: Some(proto::Property::default()),
            changes: vec![change],
            total_changes: 1,
        });
        assert!(shown.contains("price  100  99.5  run"), "{shown}");
        assert!(shown.contains("pool   -    true  run"), "{shown}");
    }
}
