//! What a document says is to be scraped. What is out of bounds is left out, with a note.

use std::time::Duration;

use super::fields::Fields;
use crate::domain::parameters::{
    LIMIT, LOCATION_LENGTH, LOCATIONS, ListingType, PAST_DAYS, RADIUS, REQUEST_DELAY,
    ScrapeParameters,
};
use crate::domain::text::check_line;

pub(super) fn read(fields: &mut Fields, source: &str) -> ScrapeParameters {
    ScrapeParameters {
        locations: locations(fields),
        listing_types: listing_types(fields),
        past_days: bounded(fields, "past_days", PAST_DAYS),
        radius: radius(fields),
        limit: bounded(fields, "limit", LIMIT),
        request_delay: request_delay(fields),
        source: Some(source.to_owned()),
        full_scrape: None,
    }
}

fn locations(fields: &mut Fields) -> Vec<String> {
    let mut given = fields.list("locations");
    given.extend(fields.list("location"));
    let mut kept = Vec::new();
    for location in given {
        match check_line(&location, LOCATION_LENGTH) {
            Err(reason) => fields.note(format!("a location was left out: it {reason}")),
            Ok(()) if kept.contains(&location) => {
                fields.note(format!("location '{location}' came twice"));
            }
            Ok(()) => kept.push(location),
        }
    }
    if kept.len() > LOCATIONS {
        fields.note(format!(
            "{} of {} locations were left out",
            kept.len() - LOCATIONS,
            kept.len()
        ));
        kept.truncate(LOCATIONS);
    }
    kept
}

/// One or several kinds; where both fields are given, all that they name.
fn listing_types(fields: &mut Fields) -> Vec<ListingType> {
    let mut words = fields.list("listing_types");
    words.extend(fields.list("listing_type"));
    let mut kinds = Vec::new();
    for word in words {
        match word.to_lowercase().replace([' ', '-'], "_").parse().ok() {
            Some(kind) if kinds.contains(&kind) => {}
            Some(kind) => kinds.push(kind),
            None => fields.note(format!("listing type '{word}' is unknown and was left out")),
        }
    }
    kinds
}

fn bounded(fields: &mut Fields, name: &str, most: i32) -> Option<i32> {
    let number = fields.count(name)?;
    match i32::try_from(number) {
        Ok(fits) if (1..=most).contains(&fits) => Some(fits),
        Ok(_) | Err(_) => {
            fields.note(format!("{name} {number} is not 1 to {most} and was left out"));
            None
        }
    }
}

fn radius(fields: &mut Fields) -> Option<f64> {
    let miles = fields.number("radius")?;
    if (0.0..=RADIUS).contains(&miles) {
        return Some(miles);
    }
    fields.note(format!("radius {miles} is not 0 to {RADIUS} and was left out"));
    None
}

fn request_delay(fields: &mut Fields) -> Option<Duration> {
    let seconds = fields.number("request_delay")?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(delay) if delay <= REQUEST_DELAY => Some(delay),
        Ok(_) | Err(_) => {
            fields.note(format!("request_delay {seconds} is not 0 to 60 and was left out"));
            None
        }
    }
}
