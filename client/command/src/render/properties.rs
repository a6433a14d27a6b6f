//! Properties and their changes.

use prost_types::value::Kind;
use windrow_client::proto::{self, Property};

use super::details::details;
use super::table::{Column, table};
use super::{Layout, NONE, PageCount};
use crate::json::word;

/// Maximum length of a value in characters.
const VALUE: usize = 60;

/// On a narrow terminal LAST SEEN is left out first, then LOCATION, TYPE, CHANGED, SOURCE.
pub(crate) fn properties(layout: &Layout, properties: &[Property], total: &PageCount) -> String {
    if properties.is_empty() {
        return "No properties match. Runs save them: windrow trigger JOB --watch".to_owned();
    }
    let columns = [
        Column::whole("SOURCE", 1),
        Column::id("PROPERTY ID"),
        Column::text("CHANGED", 2),
        Column::text("TYPE", 3),
        Column::text("LOCATION", 4),
        Column::text("LAST SEEN", 5),
    ];
    let rows = properties.iter().map(|property| {
        [
            property.source.clone(),
            property.property_id.clone(),
            layout.relative(property.changed_at.as_ref()),
            kind(property),
            property.location.clone(),
            layout.relative(property.last_seen_at.as_ref()),
        ]
    });
    table(layout, columns, rows).with_footer(&total.footer("property", "properties"))
}

/// On a narrow terminal RUN is left out first, then OLD, NEW, FIELD.
pub(crate) fn property_with_changes(
    layout: &Layout,
    response: &proto::GetPropertyResponse,
) -> String {
    let property = property(layout, response.property.as_ref());
    if response.changes.is_empty() {
        return format!("{property}\n\nNo changes since it was first seen.");
    }
    let counted = format!("{} of {} changes", response.changes.len(), response.total_changes);
    let columns = [
        Column::id("CHANGED"),
        Column::text("FIELD", 1),
        Column::text("OLD", 3),
        Column::text("NEW", 2),
        Column::whole("RUN", 4),
    ];
    let rows = response.changes.iter().flat_map(|change| {
        change.fields.iter().map(|field| {
            [
                layout.time(change.changed_at.as_ref()),
                field.field.clone(),
                value(field.old_value.as_ref()),
                value(field.new_value.as_ref()),
                change.job_id.clone(),
            ]
        })
    });
    format!("{property}\n\n{}", table(layout, columns, rows).with_footer(&counted))
}

fn property(layout: &Layout, property: Option<&Property>) -> String {
    let Some(property) = property else { return NONE.to_owned() };
    let seen =
        |at: Option<&prost_types::Timestamp>, run: &str| format!("{} by {run}", layout.time(at));
    let first = seen(property.first_seen_at.as_ref(), &property.first_job_id);
    let last = seen(property.last_seen_at.as_ref(), &property.last_job_id);
    let mut lines = vec![
        ("Source", property.source.clone()),
        ("Property ID", property.property_id.clone()),
        ("Location", property.location.clone()),
        ("Type", kind(property)),
        ("First seen", first),
        ("Last seen", last),
        ("Changed", layout.time_and_distance(property.changed_at.as_ref())),
    ];
    let body = property.body.iter().flat_map(|body| &body.fields);
    lines.extend(body.map(|(name, field)| (name.as_str(), value(Some(field)))));
    details(layout, lines)
}

fn kind(property: &Property) -> String {
    match property.listing_type() {
        proto::ListingType::Unspecified => NONE.to_owned(),
        kind => word(kind.as_str_name(), "LISTING_TYPE_"),
    }
}

/// The value like JSON but without quotes, shortened; a dash if absent.
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
        let shown = property_with_changes(
            &Layout::fixed(None, 0),
            &proto::GetPropertyResponse {
                property: Some(Property::default()),
                changes: vec![change],
                total_changes: 1,
                ..Default::default()
            },
        );
        assert!(shown.contains("price  100  99.5  run"), "{shown}");
        assert!(shown.contains("pool   -    true  run"), "{shown}");
    }
}
