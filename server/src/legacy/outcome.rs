//! Counts, progress and error of a run's document.

use std::collections::BTreeSet;

use serde_json::Value;

use super::fields::Fields;
use crate::domain::parameters::{LOCATION_LENGTH, LOCATIONS};
use crate::domain::run::{Counts, ERROR_LENGTH, FailedLocation, Progress, REASON_LENGTH, Status};
use crate::domain::saturating::saturating_i32;
use crate::domain::text::{check_line, shortened};

/// Scraped properties are saved, skipped or duplicate ones, and saved ones inserted or updated. What the document
/// does not say follows from the others; scraped properties that are nothing else already existed.
pub(super) fn counts(fields: &mut Fields) -> Counts {
    let (scraped, saved) = (fields.count("properties_scraped"), fields.count("properties_saved"));
    let inserted = fields.count("properties_inserted");
    let updated = fields.count("properties_updated");
    let skipped = fields.count("properties_skipped");
    let duplicate = fields.count("properties_duplicate").unwrap_or(0);
    let saved = saved.unwrap_or(inserted.unwrap_or(0) + updated.unwrap_or(0));
    let updated = updated.unwrap_or(inserted.map_or(0, |inserted| saved - inserted));
    let parts = saved + skipped.unwrap_or(0) + duplicate;
    let scraped = at_least(fields, "properties_scraped", scraped.unwrap_or(parts), parts);
    let counts = Counts {
        scraped,
        saved,
        updated: updated.clamp(0, saved),
        skipped: scraped - saved - duplicate,
        duplicate,
    };
    if updated != counts.updated {
        let most = counts.updated;
        fields.note(format!(
            "properties_updated {updated} does not fit properties_saved; using {most}"
        ));
    }
    if let Some(other) = skipped.filter(|skipped| *skipped != counts.skipped) {
        let rest = counts.skipped;
        fields.note(format!(
            "properties_skipped {other} does not fit properties_scraped; using {rest}"
        ));
    }
    counts
}

fn at_least(fields: &mut Fields, name: &str, number: i64, least: i64) -> i64 {
    if number < least {
        fields.note(format!("{name} {number} is less than its parts; using {least}"));
    }
    number.max(least)
}

/// The export has the number of completed locations, but not their indices: they are taken to be the first ones that
/// did not fail. Without that number only a completed run has completed its locations.
pub(super) fn progress(fields: &mut Fields, locations: &[String], status: Status) -> Progress {
    let mut progress = Progress::none_of(locations.len());
    if let Some(total) = location_count(fields, "total_locations") {
        progress.total_locations = total;
    }
    let total = progress.total_locations;
    let completed = location_count(fields, "completed_locations");
    progress.failed = failed_locations(fields);
    let failed = saturating_i32(progress.failed.len());
    let unknown = if status == Status::Completed { total } else { failed };
    let done = completed.unwrap_or(unknown).min(total) - failed;
    let names: BTreeSet<&str> = progress.failed.iter().map(|one| one.location.as_str()).collect();
    let has_failed = |place: &i32| {
        let place = usize::try_from(*place).ok();
        let location = place.and_then(|place| locations.get(place));
        location.is_some_and(|location| names.contains(location.as_str()))
    };
    let places = (0..total).filter(|place| !has_failed(place));
    progress.done = places.take(usize::try_from(done).unwrap_or_default()).collect();
    progress
}

fn location_count(fields: &mut Fields, name: &str) -> Option<i32> {
    let count = saturating_i32(fields.count(name)?);
    if count <= saturating_i32(LOCATIONS) {
        return Some(count);
    }
    fields.note(format!("{name} {count} is larger than {LOCATIONS}; ignored"));
    None
}

fn failed_locations(fields: &mut Fields) -> Vec<FailedLocation> {
    let items = match fields.value("failed_locations") {
        Some(Value::Array(items)) => items,
        Some(_) => {
            fields.note("failed_locations is not a list; ignored");
            Vec::new()
        }
        None => Vec::new(),
    };
    let count = items.len();
    let known = items.iter().filter_map(failed_location).take(LOCATIONS);
    let mut failed: Vec<FailedLocation> = known.collect();
    for one in &mut failed {
        if one.reason.chars().count() > REASON_LENGTH {
            fields.note(format!(
                "the reason of failed location '{}' is too long; shortened it",
                one.location
            ));
            one.reason = shortened(&one.reason, REASON_LENGTH);
        }
    }
    if failed.len() < count {
        fields.note(format!("ignored {} of {count} failed_locations", count - failed.len()));
    }
    failed
}

fn failed_location(value: &Value) -> Option<FailedLocation> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let location = value.as_str().or_else(|| text("location"))?.to_owned();
    check_line(&location, LOCATION_LENGTH).ok()?;
    let reason = text("reason").or_else(|| text("error")).or_else(|| text("error_message"));
    let reason = reason.unwrap_or_default().to_owned();
    Some(FailedLocation { location, reason, permanent: false })
}

/// The message, shortened if it is too long; `None` if there is none.
pub(super) fn error_message(fields: &mut Fields) -> Option<String> {
    let message = fields.text("error_message").or_else(|| fields.text("error"))?;
    let length = message.chars().count();
    if length <= ERROR_LENGTH {
        return Some(message);
    }
    fields.note(format!("error_message has {length} characters; kept the first {ERROR_LENGTH}"));
    Some(message.chars().take(ERROR_LENGTH).collect())
}
