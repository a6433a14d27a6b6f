//! A program's stderr as lines of the run's log, with bounded memory.

use tokio::io::AsyncReadExt;
use tokio::process::ChildStderr;

use crate::sources::Task;

/// Longest line in bytes; the rest of a longer one is dropped. The server stores 2,000 characters of a line.
const LINE_MAX: usize = 16 * 1024;
const CHUNK: usize = 8 * 1024;

/// Reads stderr and logs its lines as they come.
pub(super) struct Stderr<'a> {
    pipe: Option<ChildStderr>,
    lines: LogLines<'a>,
}

impl<'a> Stderr<'a> {
    pub(super) fn new(pipe: Option<ChildStderr>, task: &'a Task) -> Self {
        Self { pipe, lines: LogLines { task, line: Vec::new(), overwritten: false, last: None } }
    }

    /// Reads to the end. Cancel-safe: everything read so far is logged, except an unfinished line.
    pub(super) async fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut chunk = vec![0; CHUNK];
        while let Ok(length @ 1..) = pipe.read(&mut chunk).await {
            self.lines.add(chunk.get(..length).unwrap_or_default());
        }
    }

    /// Logs an unfinished line; returns the last line that is not blank.
    pub(super) fn into_last_line(mut self) -> Option<String> {
        self.lines.end_line();
        self.lines.last
    }
}

struct LogLines<'a> {
    task: &'a Task,
    line: Vec<u8>,
    /// After a carriage return: programs write their progress again and again on one line.
    overwritten: bool,
    last: Option<String>,
}

impl LogLines<'_> {
    fn add(&mut self, chunk: &[u8]) {
        for piece in chunk.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, end) = match piece.split_last() {
                Some((end @ (b'\n' | b'\r'), text)) => (text, Some(end)),
                Some(_) | None => (piece, None),
            };
            if self.overwritten && !text.is_empty() {
                self.overwritten = false;
                self.line.clear();
            }
            let space = LINE_MAX.saturating_sub(self.line.len());
            self.line.extend_from_slice(text.get(..space).unwrap_or(text));
            match end {
                Some(b'\n') => self.end_line(),
                Some(_) => self.overwritten = true,
                None => {}
            }
        }
    }

    fn end_line(&mut self) {
        let text = String::from_utf8_lossy(&self.line).replace('\0', "\u{fffd}");
        self.line.clear();
        self.overwritten = false;
        let text = text.trim_end();
        if !text.is_empty() {
            self.task.log(text);
            self.last = Some(text.trim_start().to_owned());
        }
    }
}
