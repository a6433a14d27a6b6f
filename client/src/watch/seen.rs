//! What a watch of many runs has told, so that it tells each revision once.

use std::collections::{HashMap, VecDeque};

use crate::proto::ScrapingJob;

/// Runs that have ended or left are remembered for so long: repeats come only right after a resumption.
const GONE_KEPT: usize = 10_000;

/// The last revision told of each run. Grows with the runs that are active, not with time.
#[derive(Debug, Default)]
pub(super) struct Seen {
    revisions: HashMap<String, i64>,
    /// Ended or left at this revision, oldest first.
    gone: VecDeque<(String, i64)>,
}

impl Seen {
    /// Whether this revision is news; from then on it is not.
    pub(super) fn is_news(&mut self, run: &ScrapingJob) -> bool {
        let known = self.revisions.get(&run.job_id).is_some_and(|seen| run.revision <= *seen);
        if !known {
            self.revisions.insert(run.job_id.clone(), run.revision);
        }
        !known
    }

    /// The run has ended, or does not match any more.
    pub(super) fn leave(&mut self, run: &ScrapingJob) {
        self.gone.push_back((run.job_id.clone(), run.revision));
        while self.gone.len() > GONE_KEPT {
            let Some((oldest, left_at)) = self.gone.pop_front() else { return };
            // One that came back since is not gone.
            if self.revisions.get(&oldest) == Some(&left_at) {
                self.revisions.remove(&oldest);
            }
        }
    }

    pub(super) fn forget(&mut self) {
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
    fn each_revision_is_news_once_and_only_upwards() {
        let mut seen = Seen::default();
        let news = [("a", 2), ("a", 2), ("a", 1), ("b", 1), ("a", 3)];
        let news = news.map(|(id, revision)| seen.is_news(&run(id, revision)));
        assert_eq!(news, [true, false, false, true, true]);
    }

    #[test]
    fn only_the_last_of_those_that_are_gone_are_remembered() {
        let mut seen = Seen::default();
        for number in 0..=GONE_KEPT {
            let run = run(&number.to_string(), 1);
            assert!(seen.is_news(&run));
            seen.leave(&run);
        }
        assert_eq!(seen.revisions.len(), GONE_KEPT);
        assert!(!seen.is_news(&run(&GONE_KEPT.to_string(), 1)));
        assert!(seen.is_news(&run("0", 1)));
    }

    #[test]
    fn a_run_that_left_and_came_back_is_remembered_while_it_is_active() {
        let mut seen = Seen::default();
        assert!(seen.is_news(&run("a", 1)));
        seen.leave(&run("a", 1));
        assert!(seen.is_news(&run("a", 2)));
        for number in 0..GONE_KEPT {
            seen.leave(&run(&number.to_string(), 1));
        }
        assert_eq!(seen.gone.len(), GONE_KEPT);
        assert!(!seen.is_news(&run("a", 2)));
    }
}
