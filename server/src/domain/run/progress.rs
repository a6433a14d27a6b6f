//! How far a run got with its locations, over all its attempts.

use std::collections::BTreeSet;

/// Which locations are done, for every attempt to come, and which have failed in this one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Locations of the run.
    pub total_locations: i32,
    /// Places, in the parameters' list, of the locations that are done.
    pub done: BTreeSet<i32>,
    /// Those that failed in the current or last attempt.
    pub failed: Vec<FailedLocation>,
}

/// A location that could not be scraped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedLocation {
    /// As in the parameters.
    pub location: String,
    /// Why, as a sentence.
    pub reason: String,
    /// Whether it would fail again.
    pub permanent: bool,
}

/// How a location ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocationResult {
    /// As in the parameters.
    pub location: String,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

/// Why a location failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub reason: String,
    /// Whether it would fail again.
    pub permanent: bool,
}

impl Progress {
    /// The progress of a run that has not begun.
    pub fn none_of(locations: usize) -> Self {
        Self { total_locations: number(locations), ..Self::default() }
    }

    /// Locations that have ended: done, or failed in this attempt.
    pub fn completed_locations(&self) -> i32 {
        number(self.done.len() + self.failed.len()).min(self.total_locations)
    }

    /// Those of `locations` that are not done.
    pub fn remaining(&self, locations: &[String]) -> Vec<String> {
        let left = |(place, _): &(i32, &String)| !self.done.contains(place);
        (0..).zip(locations).filter(left).map(|(_, location)| location.clone()).collect()
    }

    /// Those of `locations` that have neither been done nor failed in this attempt.
    pub fn without_result(&self, locations: &[String]) -> Vec<String> {
        let failed: BTreeSet<&str> = self.failed.iter().map(|f| f.location.as_str()).collect();
        let mut left = self.remaining(locations);
        left.retain(|location| !failed.contains(location.as_str()));
        left
    }

    /// With these results. What is done stays done; a result that is said again changes nothing.
    #[must_use]
    pub fn with(mut self, results: Vec<LocationResult>, locations: &[String]) -> Self {
        for LocationResult { location, failure } in results {
            let place = locations.iter().position(|name| *name == location).map(number);
            let Some(place) = place.filter(|place| !self.done.contains(place)) else { continue };
            self.failed.retain(|failed| failed.location != location);
            match failure {
                None => {
                    self.done.insert(place);
                }
                Some(Failure { reason, permanent }) => {
                    self.failed.push(FailedLocation { location, reason, permanent });
                }
            }
        }
        self
    }

    /// For the next attempt, which tries again what has failed.
    #[must_use]
    pub fn for_another_attempt(self) -> Self {
        Self { failed: Vec::new(), ..self }
    }

    /// Why an attempt failed that went through all its locations, if nothing at all is done.
    pub fn failure(&self) -> Option<Failure> {
        let first = self.failed.first().filter(|_| self.done.is_empty())?;
        let FailedLocation { location, reason, .. } = first;
        let reason = match self.failed.len() {
            1 => format!("{location}: {reason}"),
            all => format!("all {all} locations failed; the first, {location}: {reason}"),
        };
        Some(Failure { reason, permanent: self.failed.iter().all(|failed| failed.permanent) })
    }
}

/// Parameters have at most a thousand locations.
fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(location: &str) -> LocationResult {
        LocationResult { location: location.to_owned(), failure: None }
    }

    fn failed(location: &str, permanent: bool) -> LocationResult {
        let failure = Some(Failure { reason: "no network".to_owned(), permanent });
        LocationResult { location: location.to_owned(), failure }
    }

    fn locations() -> Vec<String> {
        ["a", "b", "c"].map(str::to_owned).to_vec()
    }

    #[test]
    fn what_is_done_stays_done_and_what_failed_is_tried_again() {
        let results = vec![done("a"), failed("b", false), failed("a", false), done("elsewhere")];
        let first = Progress::none_of(3).with(results.clone(), &locations());
        assert_eq!(first.clone().with(results, &locations()), first, "said again");
        assert_eq!((first.completed_locations(), first.failed.len()), (2, 1));
        assert_eq!(first.without_result(&locations()), ["c"]);
        let second = first.for_another_attempt();
        assert_eq!(second.remaining(&locations()), ["b", "c"]);
        assert_eq!(second.completed_locations(), 1);
        let mended = second.with(vec![failed("b", false), done("b")], &locations());
        assert_eq!((mended.failed.len(), mended.done.len()), (0, 2));
    }

    #[test]
    fn an_attempt_has_failed_when_nothing_is_done() {
        let none = Progress::none_of(2);
        assert_eq!(none.failure(), None, "a run without locations is not a failure");
        let one = none.clone().with(vec![failed("a", true), done("b")], &locations());
        assert_eq!(one.failure(), None);
        let all = none.with(vec![failed("a", true), failed("b", false)], &locations());
        let failure = all.failure().unwrap();
        assert!(failure.reason.starts_with("all 2 locations failed; the first, a:"));
        assert!(!failure.permanent, "one of them may work the next time");
    }
}
