//! Revisions that a watch of many runs has returned, so that it returns each of them once.

use std::collections::{HashMap, VecDeque};

use crate::proto::ScrapingJob;

/// Number of ended or left runs to remember: repeats come only right after a resumption.
const MAX_GONE: usize = 10_000;

/// The last revision of each run. Grows with the number of active runs, not with time.
#[derive(Debug, Default)]
pub(super) struct Seen {
    revisions: HashMap<String, i64>,
    /// Ended or left at this revision, oldest first.
    gone: VecDeque<(String, i64)>,
}

impl Seen {
    /// True if this revision is new; records it.
    pub(super) fn is_new(&mut self, run: &ScrapingJob) -> bool {
        let known = self.revisions.get(&run.job_id).is_some_and(|seen| run.revision <= *seen);
        if !known {
            self.revisions.insert(run.job_id.clone(), run.revision);
        }
        !known
    }

    /// Records that the run ended or no longer matches.
    pub(super) fn leave(&mut self, run: &ScrapingJob) {
        self.gone.push_back((run.job_id.clone(), run.revision));
        while self.gone.len() > MAX_GONE {
            let Some((oldest, left_at)) = self.gone.pop_front() else { return };
            // A run that came back since is not gone.
            if self.revisions.get(&oldest) == Some(&left_at) {
                self.revisions.remove(&oldest);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(job_id: &str, revision: i64) -> ScrapingJob {
        ScrapingJob { job_id: job_id.to_owned(), revision, ..Default::default() }
    }

    #[test]
    fn each_revision_is_new_once_and_only_increases() {
        let mut seen = Seen::default();
        let revisions = [("a", 2), ("a", 2), ("a", 1), ("b", 1), ("a", 3)];
        let is_new = revisions.map(|(id, revision)| seen.is_new(&run(id, revision)));
        assert_eq!(is_new, [true, false, false, true, true]);
    }

    #[test]
    fn only_the_last_gone_runs_are_remembered() {
        let mut seen = Seen::default();
        for number in 0..=MAX_GONE {
            let run = run(&number.to_string(), 1);
            assert!(seen.is_new(&run));
            seen.leave(&run);
        }
        assert_eq!(seen.revisions.len(), MAX_GONE);
        assert!(!seen.is_new(&run(&MAX_GONE.to_string(), 1)));
        assert!(seen.is_new(&run("0", 1)));
    }

    #[test]
    fn a_run_that_left_and_came_back_is_remembered_while_it_is_active() {
        let mut seen = Seen::default();
        assert!(seen.is_new(&run("a", 1)));
        seen.leave(&run("a", 1));
        assert!(seen.is_new(&run("a", 2)));
        for number in 0..MAX_GONE {
            seen.leave(&run(&number.to_string(), 1));
        }
        assert_eq!(seen.gone.len(), MAX_GONE);
        assert!(!seen.is_new(&run("a", 2)));
    }
}
