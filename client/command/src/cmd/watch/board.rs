//! The live table of `windrow watch --all`: active runs, then those that ended last.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use console::Term;
use windrow_client::WatchEvent;
use windrow_client::proto::{ScrapingJob, ScrapingJobStatus};

use super::area::Area;
use super::with_cause;
use crate::render::{self, Layout, clean};

/// Number of ended runs that stay on the table.
const MAX_ENDED: usize = 10;
/// Rows of a terminal of unknown size.
const DEFAULT_ROWS: usize = 24;
/// Rows of the header, the line on further runs, the footer, and the cursor.
const FRAME: usize = 4;

pub(super) struct Board {
    area: Area,
    server: String,
    layout: Layout,
    active: BTreeMap<String, ScrapingJob>,
    /// Newest first.
    ended: VecDeque<ScrapingJob>,
    state: State,
}

#[derive(Debug, PartialEq)]
enum State {
    /// Until the first `Synced`.
    Connecting,
    Following,
    Lost(String),
}

impl Board {
    pub(super) fn new(server: String, layout: Layout) -> Self {
        let area = Area::new(Term::stdout());
        let (active, ended) = (BTreeMap::new(), VecDeque::new());
        Self { area, server, layout, active, ended, state: State::Connecting }
    }

    pub(super) fn apply(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Current(run) | WatchEvent::Changed(run) => self.place(run),
            WatchEvent::Left(run) => {
                self.active.remove(&run.job_id);
                if run.completed_at.is_some() {
                    self.place(run);
                }
            }
            WatchEvent::Synced => self.state = State::Following,
            WatchEvent::Interrupted(error) => self.state = State::Lost(with_cause(&error)),
            WatchEvent::Resynced(_) => {
                self.active.clear();
                self.state = State::Connecting;
            }
            _ => {}
        }
    }

    fn place(&mut self, run: ScrapingJob) {
        if run.completed_at.is_none() {
            self.active.insert(run.job_id.clone(), run);
            return;
        }
        self.active.remove(&run.job_id);
        self.ended.push_front(run);
        self.ended.truncate(MAX_ENDED);
    }

    pub(super) fn draw(&mut self, feed_lag: Option<Duration>) {
        let (rows, columns) = self.area.size().unzip();
        // The terminal may have been resized since the last time.
        self.layout.width = self.layout.width.and(columns);
        let text = self.text(rows.unwrap_or(DEFAULT_ROWS), feed_lag);
        self.area.draw(&text);
    }

    pub(super) fn clear(&mut self) {
        self.area.clear();
    }

    fn text(&self, rows: usize, feed_lag: Option<Duration>) -> String {
        let footer = self.footer(feed_lag);
        if self.active.is_empty() && self.ended.is_empty() {
            return format!("No active runs. Create one: windrow trigger JOB\n{footer}");
        }
        let (ended, room) = (self.ended.len(), rows.saturating_sub(FRAME));
        // At least half of a small terminal is for active runs.
        let ended = ended.min(room / 2).max(room.saturating_sub(self.active.len()).min(ended));
        let mut active: Vec<_> = self.active.values().collect();
        active.sort_by_key(|run| (run.status() != ScrapingJobStatus::Running, newest_first(run)));
        let shown = active.iter().copied().take(room.saturating_sub(ended));
        let table = render::live(&self.layout, shown.chain(self.ended.iter().take(ended)));
        let hidden = active.len().saturating_sub(room.saturating_sub(ended));
        let more = (hidden > 0).then(|| format!("\nand {hidden} more active runs"));
        format!("{table}{}\n{footer}", more.unwrap_or_default())
    }

    fn footer(&self, feed_lag: Option<Duration>) -> String {
        let running = self.active.values().filter(|run| run.status() == ScrapingJobStatus::Running);
        let (running, active) = (running.count(), self.active.len());
        let counts = format!("{running} running, {} pending", active.saturating_sub(running));
        let state = match &self.state {
            State::Connecting => format!("connecting to {}", self.server),
            State::Following => format!("following {}; Ctrl-C to stop", self.server),
            State::Lost(error) => format!("connection lost, reconnecting: {error}"),
        };
        // Every commit takes a moment, so less than a second is not worth showing.
        let lag = feed_lag.map(|lag| lag.as_secs()).filter(|seconds| *seconds > 0);
        let lag = lag.map(|seconds| format!("; {seconds}s behind the database"));
        format!("{counts} ({}{})", clean(&state), lag.unwrap_or_default())
    }
}

fn newest_first(run: &ScrapingJob) -> std::cmp::Reverse<(i64, &str)> {
    let created = run.created_at.as_ref().map_or(0, |at| at.seconds);
    std::cmp::Reverse((created, &run.job_id))
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    fn run(id: &str, status: ScrapingJobStatus) -> ScrapingJob {
        let ended = !matches!(status, ScrapingJobStatus::Pending | ScrapingJobStatus::Running);
        ScrapingJob {
            job_id: id.to_owned(),
            status: status.into(),
            completed_at: ended.then(Timestamp::default),
            ..Default::default()
        }
    }

    fn ids(board: &Board, rows: usize) -> Vec<String> {
        let word = |line: &str| line.split(' ').next().unwrap().to_owned();
        let text = board.text(rows, None);
        let lines = text.lines().skip(1).take(text.lines().count() - 2);
        lines.map(word).collect()
    }

    #[test]
    fn running_runs_are_above_pending_runs_and_those_above_ended_runs() {
        let mut board = Board::new("here".to_owned(), Layout::fixed(None, 0));
        board.apply(WatchEvent::Current(run("a", ScrapingJobStatus::Pending)));
        board.apply(WatchEvent::Changed(run("b", ScrapingJobStatus::Running)));
        board.apply(WatchEvent::Changed(run("c", ScrapingJobStatus::Running)));
        board.apply(WatchEvent::Changed(run("c", ScrapingJobStatus::Completed)));
        board.apply(WatchEvent::Left(run("d", ScrapingJobStatus::Running)));
        assert_eq!(ids(&board, 24), ["b", "a", "c"]);
        assert!(board.footer(None).starts_with("1 running, 1 pending (connecting to here"));
        board.apply(WatchEvent::Synced);
        assert!(board.footer(Some(Duration::from_secs(7))).contains("7s behind"));
        assert!(!board.footer(Some(Duration::from_millis(999))).contains("behind"));
    }

    #[test]
    fn a_table_is_not_higher_than_the_terminal() {
        let mut board = Board::new("here".to_owned(), Layout::fixed(None, 0));
        for number in 0..50 {
            board.apply(WatchEvent::Current(run(
                &format!("a{number:02}"),
                ScrapingJobStatus::Running,
            )));
            board.apply(WatchEvent::Changed(run(
                &format!("e{number:02}"),
                ScrapingJobStatus::Failed,
            )));
        }
        let text = board.text(24, None);
        assert!(text.lines().count() < 24, "{text}");
        assert!(text.contains("and 40 more active runs"), "{text}");
        assert!(text.contains("e49") && !text.contains("e39"), "{text}");
    }
}
