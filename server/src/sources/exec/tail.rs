//! The last part of a program's stderr, as text that Postgres can store.

use std::collections::VecDeque;

/// What is kept per location, in bytes.
pub(super) const TAIL_MAX: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct Tail {
    bytes: VecDeque<u8>,
}

impl Tail {
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend(chunk);
        let excess = self.bytes.len().saturating_sub(TAIL_MAX);
        self.bytes.drain(..excess);
    }

    /// Adds a line of our own.
    pub(super) fn note(&mut self, line: &str) {
        if self.bytes.back().is_some_and(|last| *last != b'\n') {
            self.push(b"\n");
        }
        self.push(line.as_bytes());
        self.push(b"\n");
    }

    /// The last line that is not blank.
    pub(super) fn last_line(&mut self) -> Option<String> {
        let text = text_of(self.bytes.make_contiguous());
        text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    }

    pub(super) fn into_text(mut self) -> String {
        text_of(self.bytes.make_contiguous())
    }
}

/// Replaces what is not UTF-8 and U+0000, which Postgres refuses; then cuts again, for each
/// replacement is three bytes long.
fn text_of(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}");
    let start = text.ceil_char_boundary(text.len().saturating_sub(TAIL_MAX));
    text.get(start..).unwrap_or_default().to_owned()
}
