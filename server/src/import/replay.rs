//! Bytes of a file with their position, which can be read again up to the last commit.

use std::io::{self, Read};

/// Limit for the bytes between two commits. MongoDB limits a document to 16 MiB; extended JSON may be longer.
pub(super) const MAX_BYTES: usize = 32 * 1024 * 1024;
const CHUNK_BYTES: u64 = 64 * 1024;

pub(super) struct Replay {
    reader: Box<dyn Read>,
    /// Contains the bytes since the last commit, and some before and after.
    buffer: Vec<u8>,
    committed: usize,
    at: usize,
    place: Place,
}

/// The position of the last commit. A line ends with LF, CR or both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// From 1.
    pub(super) line: u64,
    /// Count of white space at the start of the line.
    pub(super) indent: usize,
    within_indent: bool,
    after_cr: bool,
}

impl Replay {
    pub(super) fn new(reader: Box<dyn Read>) -> Self {
        let place = Place { line: 1, indent: 0, within_indent: true, after_cr: false };
        Self { reader, buffer: Vec::new(), committed: 0, at: 0, place }
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// The bytes that were read since the last commit.
    pub(super) fn uncommitted(&self) -> &[u8] {
        self.buffer.get(self.committed..self.at).unwrap_or_default()
    }

    pub(super) fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.at >= self.buffer.len() {
            self.fill()?;
        }
        Ok(self.buffer.get(self.at).copied())
    }

    /// Reads and commits one byte.
    pub(super) fn skip(&mut self) -> io::Result<Option<u8>> {
        let byte = self.peek()?;
        if byte.is_some() {
            self.at += 1;
            self.commit();
        }
        Ok(byte)
    }

    pub(super) fn commit(&mut self) {
        let mut place = self.place;
        for byte in self.uncommitted() {
            place.pass(*byte);
        }
        self.place = place;
        self.committed = self.at;
    }

    /// Returns to the last commit.
    pub(super) fn rewind(&mut self) {
        self.at = self.committed;
    }

    /// The error is [`io::ErrorKind::FileTooLarge`] if there are too many uncommitted bytes.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.committed);
        self.at -= self.committed;
        self.committed = 0;
        if self.buffer.len() >= MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.reader.by_ref().take(CHUNK_BYTES).read_to_end(&mut self.buffer)?;
        Ok(())
    }
}

impl Read for Replay {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (Some(byte), Some(first)) = (self.peek()?, into.first_mut()) else { return Ok(0) };
        *first = byte;
        self.at += 1;
        Ok(1)
    }
}

impl Place {
    fn pass(&mut self, byte: u8) {
        match byte {
            b'\n' if self.after_cr => {}
            b'\n' | b'\r' => {
                self.line += 1;
                self.indent = 0;
                self.within_indent = true;
            }
            b' ' | b'\t' if self.within_indent => self.indent += 1,
            _ => self.within_indent = false,
        }
        self.after_cr = byte == b'\r';
    }
}
