//! Progress of a run through its locations, over all attempts.

use std::collections::BTreeSet;

/// Maximum length of the reason of a failed location, in characters. A longer one is cut.
pub const REASON_LENGTH: usize = 300;

/// Completed locations, which later attempts skip, and locations that failed in this attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub total_locations: i32,
    /// Indexes of completed locations in the parameters' list.
    pub done: BTreeSet<i32>,
    /// Failures in the current or last attempt.
    pub failed: Vec<FailedLocation>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedLocation {
    pub location: String,
    pub reason: String,
    /// Another attempt would fail in the same way.
    pub permanent: bool,
}

/// Outcome of a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocationResult {
    pub location: String,
    /// `None` if it succeeded.
    pub failure: Option<Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub reason: String,
    /// Another attempt would fail in the same way.
    pub permanent: bool,
}

impl Progress {
    /// Progress of a run that has not started.
    pub fn none_of(locations: usize) -> Self {
        Self { total_locations: number(locations), ..Self::default() }
    }

    /// Number of locations that succeeded, or failed in this attempt or permanently.
    pub fn completed_locations(&self) -> i32 {
        number(self.done.len() + self.failed.len()).min(self.total_locations)
    }

    /// The `locations` that have not succeeded.
    pub fn remaining(&self, locations: &[String]) -> Vec<String> {
        let left = |(place, _): &(i32, &String)| !self.done.contains(place);
        (0..).zip(locations).filter(left).map(|(_, location)| location.clone()).collect()
    }

    /// The `locations` that have neither succeeded, nor failed in this attempt or permanently in an earlier one.
    pub fn without_result(&self, locations: &[String]) -> Vec<String> {
        let failed: BTreeSet<&str> = self.failed.iter().map(|f| f.location.as_str()).collect();
        let mut left = self.remaining(locations);
        left.retain(|location| !failed.contains(location.as_str()));
        left
    }

    /// Progress at another time, of which only the numbers of completed and of failed locations are known.
    #[must_use]
    pub fn shortened(&self, completed: i32, failed: i32) -> Self {
        let length = |count: i32| usize::try_from(count).unwrap_or_default();
        Self {
            total_locations: self.total_locations,
            done: self.done.iter().take(length(completed - failed)).copied().collect(),
            failed: self.failed.iter().take(length(failed)).cloned().collect(),
        }
    }

    /// Adds results. A completed location stays completed, and repeated results change nothing.
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

    /// Progress at the start of the next attempt, which retries failed locations unless they fail permanently.
    #[must_use]
    pub fn for_another_attempt(mut self) -> Self {
        self.failed.retain(|failed| failed.permanent);
        self
    }

    /// The failure of an attempt that went through all its locations: `None` if any location ever succeeded.
    pub fn failure(&self) -> Option<Failure> {
        let first = self.failed.first().filter(|_| self.done.is_empty())?;
        let FailedLocation { location, reason, .. } = first;
        let reason = match self.failed.len() {
            1 => format!("{location}: {reason}"),
            all => format!("all {all} locations failed; first: {location}: {reason}"),
        };
        Some(Failure { reason, permanent: self.failed.iter().all(|failed| failed.permanent) })
    }
}

/// Saturates; parameters have at most a thousand locations.
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
    fn completed_locations_stay_completed_and_failed_ones_are_retried() {
        let results = vec![done("a"), failed("b", false), failed("a", false), done("elsewhere")];
        let first = Progress::none_of(3).with(results.clone(), &locations());
        assert_eq!(first.clone().with(results, &locations()), first, "repeated");
        assert_eq!((first.completed_locations(), first.failed.len()), (2, 1));
        assert_eq!(first.without_result(&locations()), ["c"]);
        let second = first.for_another_attempt();
        assert_eq!(second.without_result(&locations()), ["b", "c"]);
        assert_eq!(second.completed_locations(), 1);
        let repeated = second.with(vec![failed("b", false), done("b")], &locations());
        assert_eq!((repeated.failed.len(), repeated.done.len()), (0, 2));
    }

    #[test]
    fn another_attempt_does_not_retry_a_permanent_failure() {
        let first =
            Progress::none_of(3).with(vec![failed("a", true), failed("b", false)], &locations());
        let second = first.for_another_attempt();
        assert_eq!(second.without_result(&locations()), ["b", "c"]);
        assert_eq!(second.remaining(&locations()), ["a", "b", "c"], "a retry by hand tries all");
        let all = second.with(vec![failed("b", true), failed("c", true)], &locations());
        assert!(all.failure().unwrap().permanent);
    }

    #[test]
    fn an_attempt_without_a_completed_location_has_failed() {
        let none = Progress::none_of(2);
        assert_eq!(none.failure(), None, "a run without locations is not a failure");
        let one = none.clone().with(vec![failed("a", true), done("b")], &locations());
        assert_eq!(one.failure(), None);
        let all = none.with(vec![failed("a", true), failed("b", false)], &locations());
        let failure = all.failure().unwrap();
        assert!(failure.reason.starts_with("all 2 locations failed; first: a:"));
        assert!(!failure.permanent, "one of them may work the next time");
    }
}
