//! The log of one location between its source and the reporter, in bounded memory.
//!
//! The first lines, [`LIVE_LINES`] or [`KEPT_BYTES`] that wait, stream into the run's log while the source works.
//! Of all others only the last ones are kept, and follow when the location ends: the beginning and the end explain a
//! failure better than the middle. A note replaces dropped lines. Secrets are hidden when a line leaves.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::attempt::Level;
use crate::secrets::Secrets;

/// Lines that stream: 25 minutes of a program that writes a line each second. Together with
/// [`KEPT_LINES`] they stay below the 2,000 lines that the server stores per location of an attempt.
const LIVE_LINES: usize = 1_500;
/// Last lines that wait for the end of the location.
const KEPT_LINES: usize = 480;
/// Bytes of the first lines that wait, and of the last lines that wait.
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
    secrets: OnceLock<Secrets>,
}

#[derive(Debug, Default)]
struct State {
    first: Lines,
    /// Number of first lines so far.
    firsts: usize,
    last: Lines,
    /// Number of dropped lines between the two.
    dropped: usize,
}

#[derive(Debug, Default)]
struct Lines {
    lines: VecDeque<TaskLine>,
    bytes: usize,
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
        let line = self.lock().first.pop()?;
        Some(self.hidden(line))
    }

    /// The next line after the source has ended.
    pub(crate) fn next(&self) -> Option<TaskLine> {
        let line = self.lock().next()?;
        Some(self.hidden(line))
    }

    /// Hides these secrets from now on. The first call counts.
    pub(crate) fn hide(&self, secrets: Secrets) {
        self.secrets.get_or_init(|| secrets);
    }

    fn hidden(&self, line: TaskLine) -> TaskLine {
        match self.secrets.get() {
            Some(secrets) => TaskLine { text: secrets.hide(&line.text).into_owned(), ..line },
            None => line,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, level: Level, line: &str) {
        let mut text = line.replace('\0', "\u{fffd}");
        text.truncate(text.floor_char_boundary(KEPT_BYTES));
        let has_room = self.first.bytes + text.len() <= KEPT_BYTES;
        let line = TaskLine { level, text, logged_at: Instant::now() };
        if self.firsts < LIVE_LINES && has_room {
            self.firsts += 1;
            return self.first.push(line);
        }
        // Later lines do not stream either, so that the order stays.
        self.firsts = LIVE_LINES;
        self.last.push(line);
        while self.last.bytes > KEPT_BYTES || self.last.lines.len() > KEPT_LINES {
            self.last.pop();
            self.dropped += 1;
        }
    }

    fn next(&mut self) -> Option<TaskLine> {
        if let Some(line) = self.first.pop() {
            return Some(line);
        }
        let next = self.last.lines.front()?;
        if self.dropped > 0 {
            let lines = if self.dropped == 1 { "line" } else { "lines" };
            let text = format!("windrow: dropped {} {lines} of the log here", self.dropped);
            self.dropped = 0;
            return Some(TaskLine { level: Level::Warning, text, logged_at: next.logged_at });
        }
        self.last.pop()
    }
}

impl Lines {
    fn push(&mut self, line: TaskLine) {
        self.bytes += line.text.len();
        self.lines.push_back(line);
    }

    fn pop(&mut self) -> Option<TaskLine> {
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
        for number in 0..3_000 {
            log.write(Level::Info, &number.to_string());
            if let Some(line) = log.next_live() {
                assert_eq!(line.text, number.to_string());
                assert!(number < LIVE_LINES, "{number}");
            }
        }
        let rest = rest(&log);
        assert_eq!(rest.len(), KEPT_LINES + 1);
        assert_eq!(rest[0], "windrow: dropped 1020 lines of the log here");
        assert_eq!((rest[1].as_str(), rest[KEPT_LINES].as_str()), ("2520", "2999"));
    }

    #[test]
    fn the_first_lines_are_kept_even_if_nobody_reads_them_in_time() {
        let log = TaskLog::default();
        (0..3_000).for_each(|number| log.write(Level::Info, &number.to_string()));
        let rest = rest(&log);
        assert_eq!((rest[0].as_str(), rest[LIVE_LINES - 1].as_str()), ("0", "1499"));
        assert_eq!(rest[LIVE_LINES], "windrow: dropped 1020 lines of the log here");
        assert_eq!(rest.len(), LIVE_LINES + 1 + KEPT_LINES);
    }

    #[test]
    fn first_and_last_lines_that_wait_have_at_most_64_kib_each() {
        let log = TaskLog::default();
        for letter in ["a", "b", "c", "d", "e"] {
            log.write(Level::Info, &letter.repeat(30 * 1024));
        }
        log.write(Level::Info, "f");
        let rest = rest(&log);
        let starts: Vec<&str> = rest.iter().map(|line| &line[..1]).collect();
        assert_eq!(starts, ["a", "b", "w", "d", "e", "f"]);
        assert_eq!(rest[2], "windrow: dropped 1 line of the log here");
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
