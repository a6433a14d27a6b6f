//! The scrape parameters of a document. Values out of bounds are ignored, with a note.

use std::collections::BTreeSet;
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
    let mut locations = fields.list("locations");
    locations.extend(fields.list("location"));
    let (mut seen, mut kept) = (BTreeSet::new(), Vec::new());
    for location in &locations {
        if let Err(reason) = check_line(location, LOCATION_LENGTH) {
            fields.note(format!("ignored a location: it {reason}"));
        } else if !seen.insert(location) {
            fields.note(format!("location '{location}' is listed twice; ignored the duplicate"));
        } else {
            kept.push(location.clone());
        }
    }
    if kept.len() > LOCATIONS {
        fields.note(format!("ignored {} of {} locations", kept.len() - LOCATIONS, kept.len()));
        kept.truncate(LOCATIONS);
    }
    kept
}

/// The listing types of both fields, without duplicates. Each field holds one or several.
fn listing_types(fields: &mut Fields) -> Vec<ListingType> {
    let mut words = fields.list("listing_types");
    words.extend(fields.list("listing_type"));
    let mut kinds = Vec::new();
    for word in words {
        match word.to_lowercase().replace([' ', '-'], "_").parse().ok() {
            Some(kind) if kinds.contains(&kind) => {}
            Some(kind) => kinds.push(kind),
            None => fields.note(format!("listing type '{word}' is unknown; ignored")),
        }
    }
    kinds
}

fn bounded(fields: &mut Fields, name: &str, max: i32) -> Option<i32> {
    let number = fields.count(name)?;
    match i32::try_from(number) {
        Ok(fits) if (1..=max).contains(&fits) => Some(fits),
        Ok(_) | Err(_) => {
            fields.note(format!("{name} {number} is not between 1 and {max}; ignored"));
            None
        }
    }
}

fn radius(fields: &mut Fields) -> Option<f64> {
    let miles = fields.number("radius")?;
    if (0.0..=RADIUS).contains(&miles) {
        return Some(miles);
    }
    fields.note(format!("radius {miles} is not between 0 and {RADIUS}; ignored"));
    None
}

fn request_delay(fields: &mut Fields) -> Option<Duration> {
    let seconds = fields.number("request_delay")?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(delay) if delay <= REQUEST_DELAY => Some(delay),
        Ok(_) | Err(_) => {
            fields.note(format!("request_delay {seconds} is not between 0 and 60; ignored"));
            None
        }
    }
}
