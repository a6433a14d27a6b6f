//! The bar of a run: locations, rows, how fast, how long still.

use std::time::Duration;

use console::Term;
use indicatif::{HumanCount, HumanDuration, ProgressBar};
use windrow_client::proto::{ScrapingJob, ScrapingJobStatus};

use super::area::Area;
use crate::text;

const WIDTH: usize = 30;

pub(super) struct Bar {
    area: Area,
    /// These two are not drawn: they know how fast things go.
    locations: ProgressBar,
    rows: ProgressBar,
    run: ScrapingJob,
    /// What is said of a lost connection, until it is found again.
    lost: Option<String>,
}

impl Bar {
    pub(super) fn new() -> Self {
        let (locations, rows) = (ProgressBar::hidden(), ProgressBar::hidden());
        let (area, run) = (Area::new(Term::stderr()), ScrapingJob::default());
        Self { area, locations, rows, run, lost: None }
    }

    pub(super) fn show(&mut self, run: &ScrapingJob) {
        let anew = self.run.revision == 0 || run.attempt != self.run.attempt;
        self.run.clone_from(run);
        self.locations.set_length(count(run.total_locations.into()));
        self.locations.set_position(count(run.completed_locations.into()));
        self.rows.set_position(count(run.properties_scraped));
        if anew {
            // What was done before nobody watched says nothing of the speed.
            self.locations.reset_eta();
            self.rows.reset_eta();
        }
        self.redraw();
    }

    pub(super) fn lost(&mut self, text: String) {
        self.lost = Some(text);
        self.redraw();
    }

    pub(super) fn found(&mut self) {
        self.lost = None;
        self.redraw();
    }

    pub(super) fn redraw(&mut self) {
        let text = self.text();
        self.area.draw(&text);
    }

    pub(super) fn clear(&mut self) {
        self.area.clear();
    }

    /// A line for the run as it was last told, and one where that may be old.
    fn text(&self) -> String {
        let run = (self.run.revision > 0).then(|| {
            let bar = bar(self.locations.position(), self.locations.length().unwrap_or(0));
            format!("{bar} {}", self.message())
        });
        let lines: Vec<_> = run.into_iter().chain(self.lost.clone()).collect();
        lines.join("\n")
    }

    fn message(&self) -> String {
        let text = text::progress(&self.run);
        if self.run.status() != ScrapingJobStatus::Running || self.lost.is_some() {
            return text;
        }
        format!("{text}{}", pace(self.rows.per_sec(), self.locations.eta()))
    }
}

/// Empty without a length.
fn bar(position: u64, length: u64) -> String {
    let width = u64::try_from(WIDTH).unwrap_or_default();
    let full = position.min(length).saturating_mul(width).checked_div(length).unwrap_or(0);
    let full = usize::try_from(full).unwrap_or_default();
    format!("{}{}", "█".repeat(full), "░".repeat(WIDTH.saturating_sub(full)))
}

/// Nothing before there is something to say.
fn pace(rows_per_second: f64, left: Duration) -> String {
    let rate = Duration::from_secs_f64(rows_per_second.min(1e9)).as_secs();
    let rate = if rate > 0 { format!(", {}/s", HumanCount(rate)) } else { String::new() };
    if left < Duration::from_secs(1) {
        return rate;
    }
    format!("{rate}, about {:#} left", HumanDuration(left))
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_said_when_there_is_one() {
        assert_eq!(pace(0.2, Duration::ZERO), "");
        assert_eq!(pace(1_234.5, Duration::ZERO), ", 1,234/s");
        assert_eq!(pace(0.0, Duration::from_secs(125)), ", about 2m left");
    }

    #[test]
    fn a_bar_is_as_full_as_the_run_is_done() {
        for (position, length, full) in [(0, 8, 0), (4, 8, 15), (8, 8, 30), (9, 8, 30), (0, 0, 0)] {
            assert_eq!(bar(position, length).matches('█').count(), full);
            assert_eq!(bar(position, length).chars().count(), WIDTH);
        }
    }

    #[test]
    fn a_bar_shows_where_the_run_is() {
        let mut bar = Bar::new();
        bar.show(&ScrapingJob {
            revision: 3,
            status: ScrapingJobStatus::Running.into(),
            completed_locations: 2,
            total_locations: 8,
            properties_scraped: 40,
            ..Default::default()
        });
        assert_eq!((bar.locations.position(), bar.locations.length()), (2, Some(8)));
        assert_eq!(bar.message(), "running 2/8 locations, 40 scraped");
    }

    #[test]
    fn a_bar_says_that_the_connection_is_lost_until_it_is_found() {
        let mut bar = Bar::new();
        bar.lost("Trying again".to_owned());
        assert_eq!(bar.text(), "Trying again");
        bar.show(&ScrapingJob { revision: 1, ..Default::default() });
        assert!(bar.text().ends_with("in an unknown state\nTrying again"), "{}", bar.text());
        bar.found();
        assert!(bar.text().ends_with("in an unknown state"), "{}", bar.text());
    }
}
