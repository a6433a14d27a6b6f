//! Whether a run is what a filter asks for, decided here as the database does for lists.

use super::id::ScheduledJobId;
use super::labels::Labels;
use super::run::{Run, Status};
use super::wanted::{LabelConditions, Period, RunConditions};

/// Which runs a watch is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunSelection {
    /// Only of this scheduled job.
    pub scheduled_job_id: Option<ScheduledJobId>,
    /// What else is asked of them.
    pub conditions: RunConditions,
}

/// What a change of a run is to a watch that selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    Visible,
    /// It has matched before the change.
    Left,
    /// It has nothing to do with the watch.
    Hidden,
}

impl RunSelection {
    /// What a change is that led to `run` from the status `before`. Of all that is asked for only the
    /// status ever changes.
    pub fn visibility(&self, run: &Run, before: Option<Status>) -> Visibility {
        if !self.matches_but_status(run) {
            return Visibility::Hidden;
        }
        if self.accepts(run.state.status) {
            Visibility::Visible
        } else if before.is_some_and(|status| self.accepts(status)) {
            Visibility::Left
        } else {
            Visibility::Hidden
        }
    }

    fn accepts(&self, status: Status) -> bool {
        accepts(self.conditions.status.as_deref(), status)
    }

    fn matches_but_status(&self, run: &Run) -> bool {
        let RunConditions { origin, priority, scheduled_job_id, source, .. } = &self.conditions;
        let job = |wanted: &Option<ScheduledJobId>| {
            wanted.is_none() || *wanted == run.spec.scheduled_job_id
        };
        job(&self.scheduled_job_id)
            && job(scheduled_job_id)
            && accepts(origin.as_deref(), run.spec.origin)
            && accepts(priority.as_deref(), run.spec.priority)
            && (source.is_none() || *source == run.spec.parameters.source)
            && self.conditions.created.contains(run.spec.created_at)
            && self.conditions.labels.match_all(&run.spec.labels)
    }
}

fn accepts<T: Copy + PartialEq>(accepted: Option<&[T]>, value: T) -> bool {
    accepted.is_none_or(|accepted| accepted.contains(&value))
}

impl Period {
    fn contains(self, time: chrono::DateTime<chrono::Utc>) -> bool {
        self.from.is_none_or(|from| time >= from) && self.until.is_none_or(|until| time < until)
    }
}

impl LabelConditions {
    fn match_all(&self, labels: &Labels) -> bool {
        let has = |key: &String, value: &String| labels.get(key) == Some(value);
        self.equal.iter().all(|(key, value)| has(key, value))
            && self.have.iter().all(|key| labels.contains_key(key))
            && !self.lack.iter().any(|key| labels.contains_key(key))
            && !self.differ.iter().any(|(key, value)| has(key, value))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::domain::parameters::ScrapeParameters;
    use crate::domain::policy::RunPolicy;
    use crate::domain::run::{NewRun, Origin, Priority};

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

    fn selection(filter: &str) -> RunSelection {
        RunSelection { scheduled_job_id: None, conditions: RunConditions::read(filter).unwrap() }
    }

    #[test]
    fn a_filter_selects_as_it_does_in_lists() {
        let check = |filter: &str, expected: bool| {
            let visibility = selection(filter).visibility(&run(), None);
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
    }

    #[test]
    fn a_run_is_seen_to_leave() {
        let check = |filter: &str, before: Option<Status>, expected: Visibility| {
            let mut running = run();
            running.state.status = Status::Running;
            assert_eq!(selection(filter).visibility(&running, before), expected, "{filter}");
        };
        let pending = Some(Status::Pending);
        check("status = pending", pending, Visibility::Left);
        check("status = running", pending, Visibility::Visible);
        check("status = failed", pending, Visibility::Hidden);
        check("status = pending", None, Visibility::Hidden);
        check("status = pending AND origin = retry", pending, Visibility::Hidden);
        check("", pending, Visibility::Visible);
    }

    #[test]
    fn the_scheduled_job_is_asked_for_on_its_own_as_well() {
        let of = |id: &str| RunSelection {
            scheduled_job_id: ScheduledJobId::parse(id).ok(),
            ..RunSelection::default()
        };
        assert_eq!(of("sold").visibility(&run(), None), Visibility::Visible);
        assert_eq!(of("other").visibility(&run(), None), Visibility::Hidden);
    }
}
