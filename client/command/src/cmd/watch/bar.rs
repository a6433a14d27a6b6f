//! The progress bar of a run: locations, rows, speed and remaining time.

use std::time::{Duration, Instant};

use console::{Term, measure_text_width};
use windrow_client::proto::{ScrapingJob, ScrapingJobStatus};

use super::area::Area;
use crate::render::{self, Layout};

/// Maximum width; on a narrow terminal the text goes first.
const MAX_WIDTH: usize = 30;

pub(super) struct Bar {
    area: Area,
    layout: Layout,
    run: Option<ScrapingJob>,
    /// First state of the current attempt that this bar showed, for the speed.
    first: Option<(Instant, ScrapingJob)>,
    /// Set while the connection is lost.
    lost: Option<String>,
}

impl Bar {
    pub(super) fn new(layout: Layout) -> Self {
        Self { area: Area::new(Term::stderr()), layout, run: None, first: None, lost: None }
    }

    pub(super) fn show(&mut self, run: &ScrapingJob) {
        let attempt = self.first.as_ref().map(|(_, first)| first.attempt);
        if attempt != Some(run.attempt) {
            self.first = Some((Instant::now(), run.clone()));
        }
        self.run = Some(run.clone());
        self.redraw();
    }

    pub(super) fn connection_lost(&mut self, text: String) {
        self.lost = Some(text);
        self.redraw();
    }

    pub(super) fn reconnected(&mut self) {
        self.lost = None;
        self.redraw();
    }

    pub(super) fn redraw(&mut self) {
        let text = self.text(self.area.size().map(|(_, columns)| columns));
        self.area.draw(&text);
    }

    pub(super) fn clear(&mut self) {
        self.area.clear();
    }

    fn text(&self, columns: Option<usize>) -> String {
        let run = self.run.as_ref().map(|run| {
            let text = format!("{}{}", render::progress(&self.layout, run), self.speed(run));
            let room = columns.map(|columns| columns.saturating_sub(measure_text_width(&text) + 1));
            let width = room.unwrap_or(MAX_WIDTH).min(MAX_WIDTH);
            format!("{} {text}", bar(run.completed_locations, run.total_locations, width))
        });
        let lines: Vec<_> = run.into_iter().chain(self.lost.clone()).collect();
        lines.join("\n")
    }

    fn speed(&self, run: &ScrapingJob) -> String {
        match &self.first {
            Some((since, first))
                if run.status() == ScrapingJobStatus::Running && self.lost.is_none() =>
            {
                speed(first, run, since.elapsed())
            }
            _ => String::new(),
        }
    }
}

/// Empty if there are no locations.
fn bar(done: i32, total: i32, width: usize) -> String {
    let (done, total) = (usize::try_from(done), usize::try_from(total));
    let (done, total) = (done.unwrap_or_default(), total.unwrap_or_default());
    let full = done.min(total).saturating_mul(width).checked_div(total).unwrap_or(0);
    format!("{}{}", "█".repeat(full), "░".repeat(width.saturating_sub(full)))
}

/// Average since the first state. Nothing until rows or locations have increased.
fn speed(first: &ScrapingJob, run: &ScrapingJob, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let rows = run.properties_scraped.saturating_sub(first.properties_scraped);
    let rows = f64::from(i32::try_from(rows).unwrap_or(i32::MAX)) / seconds;
    let rows = if rows >= 1.0 { format!(" ({rows:.0}/s)") } else { String::new() };
    let done = run.completed_locations.saturating_sub(first.completed_locations);
    let left = run.total_locations.saturating_sub(run.completed_locations);
    if done <= 0 || left <= 0 {
        return rows;
    }
    let left = Duration::from_secs_f64((seconds * f64::from(left) / f64::from(done)).min(1e9));
    format!("{rows}, {} left", rounded(left))
}

/// In its largest unit: `2m`.
fn rounded(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds < 60 => format!("{}s", seconds.max(1)),
        seconds if seconds < 3_600 => format!("{}m", seconds / 60),
        seconds => format!("{}h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(completed_locations: i32, properties_scraped: i64) -> ScrapingJob {
        ScrapingJob {
            status: ScrapingJobStatus::Running.into(),
            completed_locations,
            total_locations: 8,
            properties_scraped,
            ..Default::default()
        }
    }

    #[test]
    fn speed_and_remaining_time_are_averages_since_the_first_state() {
        let first = running(2, 100);
        let after = |run: &ScrapingJob, seconds| speed(&first, run, Duration::from_secs(seconds));
        assert_eq!(after(&first, 10), "");
        assert_eq!(after(&running(2, 12_445), 10), " (1234/s)");
        assert_eq!(after(&running(4, 100), 60), ", 2m left");
        assert_eq!(after(&running(8, 300), 10), " (20/s)");
    }

    #[test]
    fn a_bar_is_as_full_as_the_run_is_done() {
        for (done, total, full) in [(0, 8, 0), (4, 8, 10), (8, 8, 20), (9, 8, 20), (0, 0, 0)] {
            assert_eq!(bar(done, total, 20).matches('█').count(), full);
            assert_eq!(bar(done, total, 20).chars().count(), 20);
        }
    }

    #[test]
    fn a_bar_shows_progress_and_a_lost_connection() {
        let mut bar = Bar::new(Layout::fixed(None, 0));
        bar.connection_lost("Connection lost".to_owned());
        assert_eq!(bar.text(None), "Connection lost");
        bar.show(&running(2, 40));
        let text = bar.text(None);
        assert!(text.ends_with("running 2/8 locations, 40 scraped\nConnection lost"), "{text}");
        bar.reconnected();
        assert!(
            bar.text(None).ends_with("running 2/8 locations, 40 scraped"),
            "{}",
            bar.text(None)
        );
        assert_eq!(bar.text(Some(40)), "█░░░░░ running 2/8 locations, 40 scraped");
    }
}
