//! Evaluation of a filter in memory, with the same result as in the database.

use super::RunFilter;
use crate::domain::id::ScheduledJobId;
use crate::domain::run::{Run, Status};

/// The filterable fields that change during a run, as they were before a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilteredState {
    pub status: Status,
    pub failed_locations: i64,
}

/// Effect of a change on a watch with a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// The run matches.
    Visible,
    /// The run matched before the change and no longer does.
    Left,
    /// The run matches neither before nor after the change.
    Hidden,
}

impl RunFilter {
    /// Visibility of a change of `run` from `before` to `after`.
    pub fn visibility(
        &self,
        run: &Run,
        before: Option<FilteredState>,
        after: FilteredState,
    ) -> Visibility {
        if !self.accepts_fixed_fields(run) {
            return Visibility::Hidden;
        }
        if self.accepts(after) {
            Visibility::Visible
        } else if before.is_some_and(|before| self.accepts(before)) {
            Visibility::Left
        } else {
            Visibility::Hidden
        }
    }

    fn accepts(&self, state: FilteredState) -> bool {
        accepts(self.conditions.status.as_deref(), state.status)
            && self.conditions.failed_locations.contains(state.failed_locations)
    }

    /// Checks the fields that never change.
    fn accepts_fixed_fields(&self, run: &Run) -> bool {
        let conditions = &self.conditions;
        let is_of =
            |job: &Option<ScheduledJobId>| job.is_none() || *job == run.spec.scheduled_job_id;
        is_of(&self.scheduled_job_id)
            && is_of(&conditions.scheduled_job_id)
            && accepts(conditions.origin.as_deref(), run.spec.origin)
            && accepts(conditions.priority.as_deref(), run.spec.priority)
            && (conditions.source.is_none() || conditions.source == run.spec.parameters.source)
            && conditions.created.contains(run.spec.created_at)
            && conditions.labels.contain(&run.spec.labels)
    }
}

impl FilteredState {
    /// The state of `run` itself.
    pub fn of(run: &Run) -> Self {
        let failed_locations = i64::try_from(run.state.progress.failed.len()).unwrap_or(i64::MAX);
        Self { status: run.state.status, failed_locations }
    }
}

fn accepts<T: Copy + PartialEq>(accepted: Option<&[T]>, value: T) -> bool {
    accepted.is_none_or(|accepted| accepted.contains(&value))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::domain::filter::RunConditions;
    use crate::domain::parameters::ScrapeParameters;
    use crate::domain::policy::RunPolicy;
    use crate::domain::run::{FailedLocation, NewRun, Origin, Priority};

    fn run() -> Run {
        let new = NewRun {
            origin: Origin::Triggered,
            scheduled_job_id: ScheduledJobId::parse("sold").ok(),
            original_job_id: None,
            priority: Priority::High,
            parameters: ScrapeParameters {
                source: Some("mls".to_owned()),
                ..ScrapeParameters::default()
            },
            requested_by: String::new(),
            labels: [("team".to_owned(), "a".to_owned())].into(),
            tick_at: None,
            available_at: None,
            queued: false,
            policy: RunPolicy::default(),
        };
        Run::new(new, "2026-01-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap(), 1)
    }

    fn parse(filter: &str) -> RunFilter {
        RunFilter { scheduled_job_id: None, conditions: RunConditions::parse(filter).unwrap() }
    }

    const PENDING: FilteredState = FilteredState { status: Status::Pending, failed_locations: 0 };

    #[test]
    fn a_filter_accepts_the_runs_that_a_list_contains() {
        let check = |filter: &str, expected: bool| {
            let visibility = parse(filter).visibility(&run(), None, FilteredState::of(&run()));
            assert_eq!(visibility == Visibility::Visible, expected, "{filter}");
        };
        check("", true);
        check("status = pending AND origin = triggered AND priority != low", true);
        check("origin = scheduled", false);
        check("priority = low", false);
        check("scheduled_job_id = sold AND parameters.source = mls", true);
        check("scheduled_job_id = other", false);
        check("parameters.source = other", false);
        check("labels.team = a AND labels:team AND NOT labels:draft AND labels.team != b", true);
        check("labels.team = b", false);
        check("labels.team != a", false);
        check("labels:draft", false);
        check("NOT labels:team", false);
        check("created_at >= '2026-01-01T00:00:00Z' AND created_at < '2026-01-02T00:00:00Z'", true);
        check("created_at > '2026-01-01T00:00:00Z'", false);
        check("created_at < '2026-01-01T00:00:00Z'", false);
        check("status = pending AND status = running", false);
        check("failed_locations = 0 AND failed_locations < 1", true);
        check("failed_locations > 0", false);
    }

    #[test]
    fn a_run_that_stops_matching_has_left() {
        let check = |filter: &str, before: Option<FilteredState>, expected: Visibility| {
            let mut running = run();
            running.state.status = Status::Running;
            assert_eq!(
                parse(filter).visibility(&running, before, FilteredState::of(&running)),
                expected,
                "{filter}"
            );
        };
        let pending = Some(PENDING);
        check("status = pending", pending, Visibility::Left);
        check("status = running", pending, Visibility::Visible);
        check("status = failed", pending, Visibility::Hidden);
        check("status = pending", None, Visibility::Hidden);
        check("status = pending AND origin = retry", pending, Visibility::Hidden);
        check("", pending, Visibility::Visible);
    }

    #[test]
    fn a_run_leaves_when_its_number_of_failed_locations_stops_matching() {
        let location = |name: &str| FailedLocation {
            location: name.to_owned(),
            reason: "not found".to_owned(),
            permanent: false,
        };
        let failed = vec![location("a"), location("b")];
        let mut running = run();
        running.state.status = Status::Running;
        running.state.progress.failed = failed;
        let check = |filter: &str, failed_before: i64, expected: Visibility| {
            let before =
                Some(FilteredState { status: Status::Running, failed_locations: failed_before });
            assert_eq!(
                parse(filter).visibility(&running, before, FilteredState::of(&running)),
                expected,
                "{filter}"
            );
        };
        check("failed_locations > 0", 0, Visibility::Visible);
        check("failed_locations < 2", 1, Visibility::Left);
        check("failed_locations > 2", 1, Visibility::Hidden);
    }

    #[test]
    fn the_scheduled_job_of_the_request_must_match_too() {
        let of = |id: &str| RunFilter {
            scheduled_job_id: ScheduledJobId::parse(id).ok(),
            ..RunFilter::default()
        };
        assert_eq!(
            of("sold").visibility(&run(), None, FilteredState::of(&run())),
            Visibility::Visible
        );
        assert_eq!(
            of("other").visibility(&run(), None, FilteredState::of(&run())),
            Visibility::Hidden
        );
    }
}
