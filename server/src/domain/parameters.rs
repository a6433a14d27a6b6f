//! Scrape parameters of scheduled jobs and runs, and the overrides of a trigger.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

use super::duration_text;
use super::text::check_line;
use super::violation::Violation;

/// Maximum number of locations.
pub const LOCATIONS: usize = 1_000;
/// Maximum length of a location, in characters.
pub const LOCATION_LENGTH: usize = 200;
/// Maximum of `past_days`: ten years.
pub const PAST_DAYS: i32 = 3_650;
/// Maximum search radius, in miles.
pub const RADIUS: f64 = 100.0;
/// Maximum number of listings per location, and the default.
pub const LIMIT: i32 = 10_000;
/// Maximum pause between two locations.
pub const REQUEST_DELAY: Duration = Duration::from_mins(1);
/// Characters of the name of an unknown source that a sentence repeats.
const SHOWN_NAME: usize = 64;
/// Default pause between two locations, which limits the load on the scraped sites.
pub const DEFAULT_REQUEST_DELAY: Duration = Duration::from_secs(1);

#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Display,
    EnumString,
    IntoStaticStr,
    Serialize,
    Deserialize,
)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum ListingType {
    #[serde(rename = "LISTING_TYPE_FOR_SALE")]
    ForSale,
    #[serde(rename = "LISTING_TYPE_FOR_RENT")]
    ForRent,
    #[serde(rename = "LISTING_TYPE_SOLD")]
    Sold,
    #[serde(rename = "LISTING_TYPE_PENDING")]
    Pending,
}

/// Scrape parameters. As overrides, absent values and empty lists keep the job's values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScrapeParameters {
    pub locations: Vec<String>,
    /// Empty: the source chooses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listing_types: Vec<ListingType>,
    /// Days to look back from the run's reference time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub past_days: Option<i32>,
    /// Miles around each location.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radius: Option<f64>,
    /// Maximum number of listings per location.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i32>,
    /// Pause between two locations.
    #[serde(default, with = "duration_text", skip_serializing_if = "Option::is_none")]
    pub request_delay: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Scrape everything, not only changes since the last complete run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_scrape: Option<bool>,
}

/// The sources in the server's settings.
#[derive(Clone, Debug, Default)]
pub struct SourceNames {
    pub names: BTreeSet<String>,
    /// Those that the server executes itself; workers execute the others.
    pub executed: BTreeSet<String>,
    /// Source of parameters that name none, if there is a default.
    pub default: Option<String>,
}

impl ScrapeParameters {
    /// These parameters with those of `overrides` that are present.
    #[must_use]
    pub fn overridden(&self, overrides: &Self) -> Self {
        let list = |new: &Vec<String>, old: &Vec<String>| {
            if new.is_empty() { old.clone() } else { new.clone() }
        };
        Self {
            locations: list(&overrides.locations, &self.locations),
            listing_types: if overrides.listing_types.is_empty() {
                self.listing_types.clone()
            } else {
                overrides.listing_types.clone()
            },
            past_days: overrides.past_days.or(self.past_days),
            radius: overrides.radius.or(self.radius),
            limit: overrides.limit.or(self.limit),
            request_delay: overrides.request_delay.or(self.request_delay),
            source: overrides.source.clone().or_else(|| self.source.clone()),
            full_scrape: overrides.full_scrape.or(self.full_scrape),
        }
    }

    /// Checks complete parameters and fills in the default source.
    pub fn complete(mut self, sources: &SourceNames) -> Result<Self, Vec<Violation>> {
        let mut violations = self.check(sources);
        if self.locations.is_empty() {
            violations.insert(0, Violation::new("locations", "at least one location is required"));
        }
        self.source = self.source.or_else(|| sources.default.clone());
        if self.source.is_none() {
            violations
                .push(Violation::new("source", format!("is required; {}", sources.valid_names())));
        }
        if violations.is_empty() { Ok(self) } else { Err(violations) }
    }

    /// Checks the values that are present; the others may be absent, as in overrides.
    pub fn check(&self, sources: &SourceNames) -> Vec<Violation> {
        let mut violations = self.check_locations();
        let mut reject = |field: &str, description: String| {
            violations.push(Violation::new(field, description));
        };
        let kinds: BTreeSet<_> = self.listing_types.iter().collect();
        if kinds.len() != self.listing_types.len() {
            reject("listing_types", "must not repeat a listing type".to_owned());
        }
        if self.past_days.is_some_and(|days| !(1..=PAST_DAYS).contains(&days)) {
            reject("past_days", format!("must be 1 to {PAST_DAYS} days"));
        }
        if self.radius.is_some_and(|miles| !(0.0..=RADIUS).contains(&miles)) {
            reject("radius", format!("must be 0 to {RADIUS} miles"));
        }
        if self.limit.is_some_and(|limit| !(1..=LIMIT).contains(&limit)) {
            reject("limit", format!("must be 1 to {LIMIT} listings"));
        }
        if self.request_delay.is_some_and(|delay| delay > REQUEST_DELAY) {
            reject("request_delay", "must be 0 to 60 seconds".to_owned());
        }
        if let Some(name) = self.source.as_ref().filter(|name| !sources.names.contains(*name)) {
            let shown: String = name.chars().take(SHOWN_NAME).collect();
            reject("source", format!("unknown source '{shown}'; {}", sources.valid_names()));
        }
        violations
    }

    fn check_locations(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        if self.locations.len() > LOCATIONS {
            let count = self.locations.len();
            let text = format!("has {count} entries; at most {LOCATIONS} are allowed");
            return vec![Violation::new("locations", text)];
        }
        let mut seen = BTreeSet::new();
        for (index, location) in self.locations.iter().enumerate() {
            let field = format!("locations[{index}]");
            if let Err(description) = check_line(location, LOCATION_LENGTH) {
                violations.push(Violation::new(field, description));
            } else if !seen.insert(location) {
                violations.push(Violation::new(field, "repeats an earlier location"));
            }
        }
        violations
    }
}

impl SourceNames {
    /// A sentence if this server does not have the source of a job or run. That is no error: another may have it.
    pub fn missing(&self, parameters: &ScrapeParameters) -> Option<String> {
        let source = parameters.source.as_ref().filter(|source| !self.names.contains(*source))?;
        let shown: String = source.chars().take(SHOWN_NAME).collect();
        Some(format!("this server has no source '{shown}': runs wait for a server that has it"))
    }

    fn valid_names(&self) -> String {
        let names: Vec<_> = self.names.iter().map(String::as_str).collect();
        format!("expected one of {}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_json_is_stable() {
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
        let json = serde_json::json!({
            "locations": ["Indianapolis, IN"],
            "listing_types": ["LISTING_TYPE_FOR_SALE", "LISTING_TYPE_PENDING"],
            "past_days": 7,
            "radius": 2.5,
            "limit": 10,
            "request_delay": "0.25s",
            "source": "sample",
            "full_scrape": true,
        });
        assert_eq!(serde_json::to_value(&parameters).unwrap(), json);
        assert_eq!(serde_json::from_value::<ScrapeParameters>(json).unwrap(), parameters);
    }

    #[test]
    fn absent_parameters_are_absent_in_the_stored_json() {
        let json = serde_json::json!({ "locations": [] });
        assert_eq!(serde_json::to_value(ScrapeParameters::default()).unwrap(), json);
        let read: ScrapeParameters = serde_json::from_value(json).unwrap();
        assert_eq!(read, ScrapeParameters::default());
    }

    fn sources() -> SourceNames {
        let names = BTreeSet::from(["sample".to_owned()]);
        SourceNames { names, ..SourceNames::default() }
    }

    fn good() -> ScrapeParameters {
        ScrapeParameters {
            locations: vec!["Indianapolis, IN".to_owned()],
            source: Some("sample".to_owned()),
            ..ScrapeParameters::default()
        }
    }

    fn check(change: impl FnOnce(&mut ScrapeParameters), expected: &[&str]) {
        let mut parameters = good();
        change(&mut parameters);
        let fields: Vec<String> = match parameters.complete(&sources()) {
            Ok(_) => Vec::new(),
            Err(violations) => violations.into_iter().map(|v| v.field).collect(),
        };
        assert_eq!(fields, expected);
    }

    #[test]
    fn each_value_out_of_bounds_is_a_violation_of_its_field() {
        check(|_| {}, &[]);
        check(|p| p.locations.clear(), &["locations"]);
        check(|p| p.locations.push(String::new()), &["locations[1]"]);
        check(|p| p.locations.push("Indianapolis, IN".to_owned()), &["locations[1]"]);
        check(|p| p.locations.push("x".repeat(201)), &["locations[1]"]);
        check(|p| p.locations = vec!["x".to_owned(); 1_001], &["locations"]);
        check(|p| p.past_days = Some(0), &["past_days"]);
        check(|p| p.past_days = Some(3_651), &["past_days"]);
        check(|p| p.radius = Some(f64::NAN), &["radius"]);
        check(|p| p.radius = Some(-0.1), &["radius"]);
        check(|p| p.limit = Some(0), &["limit"]);
        check(|p| p.request_delay = Some(Duration::from_secs(61)), &["request_delay"]);
        check(|p| p.source = Some("nope".to_owned()), &["source"]);
        check(|p| p.source = None, &["source"]);
        check(|p| p.listing_types = vec![ListingType::Sold; 2], &["listing_types"]);
    }

    #[test]
    fn overrides_replace_only_the_values_that_are_present() {
        let overrides = ScrapeParameters { past_days: Some(7), ..ScrapeParameters::default() };
        let merged = good().overridden(&overrides);
        assert_eq!(merged, ScrapeParameters { past_days: Some(7), ..good() });
    }
}
