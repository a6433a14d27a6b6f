//! The log of one location between its source and the reporter, in bounded memory.
//!
//! The first lines stream into the run's log while the source works. After [`LIVE_LINES`] only the last
//! lines are kept, and follow when the location ends: the beginning and the end explain a failure better
//! than the middle. A note replaces dropped lines.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::attempt::Level;

/// Lines that stream. Together with [`KEPT_LINES`] they stay below the 500 lines that the server stores per
/// location of an attempt.
const LIVE_LINES: usize = 250;
/// Lines that wait for the reporter, or for the end of the location.
const KEPT_LINES: usize = 240;
/// Bytes of the lines that wait.
pub(crate) const KEPT_BYTES: usize = 64 * 1024;

/// A line that a source logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskLine {
    /// Severity.
    pub level: Level,
    /// One line of text without U+0000.
    pub text: String,
    /// Time at which it was logged.
    pub logged_at: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct TaskLog {
    state: Mutex<State>,
    written: Notify,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<TaskLine>,
    bytes: usize,
    dropped: usize,
    streamed: usize,
}

impl TaskLog {
    /// Adds the lines of a text, except blank ones.
    pub(crate) fn write(&self, level: Level, text: &str) {
        let mut state = self.lock();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            state.add(level, line);
        }
        self.written.notify_one();
    }

    /// Completes after a write. One reader at a time.
    pub(crate) async fn written(&self) {
        self.written.notified().await;
    }

    /// The next line while lines stream.
    pub(crate) fn next_live(&self) -> Option<TaskLine> {
        let mut state = self.lock();
        if state.streamed == LIVE_LINES {
            return None;
        }
        let line = state.next()?;
        state.streamed += 1;
        Some(line)
    }

    /// The next line after the source has ended.
    pub(crate) fn next(&self) -> Option<TaskLine> {
        self.lock().next()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, level: Level, line: &str) {
        let mut text = line.replace('\0', "\u{fffd}");
        text.truncate(text.floor_char_boundary(KEPT_BYTES));
        self.bytes += text.len();
        self.lines.push_back(TaskLine { level, text, logged_at: Instant::now() });
        while self.bytes > KEPT_BYTES || self.lines.len() > KEPT_LINES {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(line) = self.lines.pop_front() {
            self.bytes -= line.text.len();
            self.dropped += 1;
        }
    }

    fn next(&mut self) -> Option<TaskLine> {
        let first = self.lines.front()?;
        if self.dropped > 0 {
            let text = format!("windrow: dropped {} lines of the log here", self.dropped);
            self.dropped = 0;
            return Some(TaskLine { level: Level::Warning, text, logged_at: first.logged_at });
        }
        let line = self.lines.pop_front()?;
        self.bytes -= line.text.len();
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(log: &TaskLog) -> Vec<String> {
        std::iter::from_fn(|| log.next()).map(|line| line.text).collect()
    }

    #[test]
    fn lines_stream_until_their_limit_and_the_last_ones_follow_at_the_end() {
        let log = TaskLog::default();
        for number in 0..1_000 {
            log.write(Level::Info, &number.to_string());
            if let Some(line) = log.next_live() {
                assert_eq!(line.text, number.to_string());
                assert!(number < LIVE_LINES, "{number}");
            }
        }
        let rest = rest(&log);
        assert_eq!(rest.len(), KEPT_LINES + 1);
        assert_eq!(rest[0], "windrow: dropped 510 lines of the log here");
        assert_eq!((rest[1].as_str(), rest[KEPT_LINES].as_str()), ("760", "999"));
    }

    #[test]
    fn lines_that_wait_have_at_most_64_kib() {
        let log = TaskLog::default();
        for letter in ["a", "b", "c"] {
            log.write(Level::Info, &letter.repeat(30 * 1024));
        }
        let rest = rest(&log);
        assert_eq!(rest[0], "windrow: dropped 1 lines of the log here");
        assert!(rest[1].starts_with('b') && rest[2].starts_with('c'));
        log.write(Level::Info, &"ä".repeat(KEPT_BYTES));
        assert_eq!(log.next().unwrap().text.len(), KEPT_BYTES);
    }

    #[test]
    fn lines_are_storable_and_not_blank() {
        let log = TaskLog::default();
        log.write(Level::Info, "one\0\n \r\n\ntwo\n");
        assert_eq!(rest(&log), ["one\u{fffd}", "two"]);
    }
}
