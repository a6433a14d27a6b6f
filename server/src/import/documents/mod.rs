//! The documents of import files, one at a time: JSON lines, arrays on one or several lines, indented or
//! concatenated documents.
//!
//! A document that is not JSON is reported with its position, and reading continues after it. Where it ends is
//! then a guess: at its closing bracket if that is on the same line, otherwise before the next line that is not
//! indented more and starts a document.

use std::io;

use serde::Deserialize as _;
use serde_json::Value;

use super::input::{InputFile, with_name};
use super::replay::{MAX_BYTES, Replay};

const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
/// Starts a record in JSON text sequences (RFC 7464).
const RECORD_SEPARATOR: u8 = 0x1e;

pub(super) struct Document {
    /// An object, or why it is none.
    pub(super) content: Result<Value, String>,
    pub(super) position: String,
    /// Number of the document over all files, from 1.
    pub(super) overall_number: u64,
}

/// All documents of the files. An error ends a file, because no document can follow it.
pub(super) fn documents(files: &[InputFile]) -> impl Iterator<Item = io::Result<Document>> {
    let all = files.iter().flat_map(|file| {
        let (documents, failed) = match file.reader() {
            Ok(reader) => (Some(Documents::new(&file.name, Replay::new(reader))), None),
            Err(error) => (None, Some(Err(error))),
        };
        documents.into_iter().flatten().chain(failed)
    });
    all.zip(1..).map(|(document, overall_number)| {
        document.map(|document| Document { overall_number, ..document })
    })
}

struct Documents<'a> {
    file: &'a str,
    bytes: Replay,
    /// Open arrays around the next document.
    lists: u32,
    /// Number of documents so far.
    count: u64,
    /// The line on which the last document ended.
    last_line: u64,
    failed: bool,
}

impl Iterator for Documents<'_> {
    type Item = io::Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.next_document().map_err(|error| with_name(self.file, &error));
        self.failed = next.is_err();
        next.transpose()
    }
}

impl<'a> Documents<'a> {
    fn new(file: &'a str, bytes: Replay) -> Self {
        Self { file, bytes, lists: 0, count: 0, last_line: 0, failed: false }
    }

    fn next_document(&mut self) -> io::Result<Option<Document>> {
        let first = self.skip_separators()?;
        if first.is_none() && self.lists == 0 {
            return Ok(None);
        }
        self.count += 1;
        let position = self.describe_position();
        let content = match first {
            Some(b'{') => self.read_object()?,
            Some(b']') => {
                self.bytes.skip()?;
                Err("']' has no matching '['".to_owned())
            }
            Some(_) => {
                self.skip_value()?;
                Err("not a JSON object".to_owned())
            }
            None => {
                self.lists = 0;
                Err("the array has no end; the file may be incomplete".to_owned())
            }
        };
        self.last_line = self.bytes.place().line;
        Ok(Some(Document { content, position, overall_number: 0 }))
    }

    /// File and line. On a line with several documents also the number of the document in the file.
    fn describe_position(&self) -> String {
        let (file, line, count) = (self.file, self.bytes.place().line, self.count);
        if line == self.last_line {
            return format!("{file}:{line} (document {count})");
        }
        format!("{file}:{line}")
    }

    /// Skips everything between documents. Returns the next byte.
    fn skip_separators(&mut self) -> io::Result<Option<u8>> {
        loop {
            let next = self.bytes.peek()?;
            match next {
                Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | RECORD_SEPARATOR) => {}
                Some(b'[') => self.lists = self.lists.saturating_add(1),
                Some(b']') if self.lists > 0 => self.lists -= 1,
                Some(byte) if BYTE_ORDER_MARK.contains(&byte) => {}
                Some(_) | None => return Ok(next),
            }
            self.bytes.skip()?;
        }
    }

    fn read_object(&mut self) -> io::Result<Result<Value, String>> {
        let indent = self.bytes.place().indent;
        let mut deserializer = serde_json::Deserializer::from_reader(&mut self.bytes);
        let error = match Value::deserialize(&mut deserializer) {
            Ok(value) => {
                self.bytes.commit();
                return Ok(Ok(value));
            }
            Err(error) => error,
        };
        let reason = match error.io_error_kind() {
            Some(io::ErrorKind::FileTooLarge) => {
                format!("is larger than {} MiB", MAX_BYTES / 1024 / 1024)
            }
            Some(_) => return Err(error.into()),
            None => self.reason(&error),
        };
        self.bytes.rewind();
        if !self.skip_to_closing()? {
            self.skip_to_document(indent)?;
        }
        Ok(Err(reason))
    }

    fn reason(&self, error: &serde_json::Error) -> String {
        if std::str::from_utf8(self.bytes.uncommitted()).is_err() {
            return "is not UTF-8; if the file is Latin-1, convert it with iconv -f LATIN1 -t UTF-8"
                .to_owned();
        }
        let text = error.to_string();
        let (line, column) = (error.line(), error.column());
        let place = format!(" at line {line} column {column}");
        let text = text.strip_suffix(&place).unwrap_or(&text);
        let before = self.bytes.place().line - 1;
        let line = before.saturating_add(u64::try_from(line).unwrap_or(u64::MAX));
        format!("not JSON: {text} on line {line}")
    }

    /// Skips to the end of the line; in an array at most to the next item.
    fn skip_value(&mut self) -> io::Result<()> {
        while let Some(byte) = self.bytes.peek()? {
            match byte {
                b'\n' | b'\r' => break,
                b',' | b']' | b'{' if self.lists > 0 => break,
                _ => self.bytes.skip()?,
            };
        }
        Ok(())
    }

    /// Skips an object that ends on its line. Returns false if there is more than one line.
    fn skip_to_closing(&mut self) -> io::Result<bool> {
        let mut nesting = Nesting::default();
        while let Some(byte) = self.bytes.skip()? {
            if matches!(byte, b'\n' | b'\r') {
                return Ok(false);
            }
            if nesting.closes_with(byte) {
                break;
            }
        }
        Ok(true)
    }

    /// Skips the lines before the next document or the end of the array.
    fn skip_to_document(&mut self, indent: usize) -> io::Result<()> {
        let mut at_start = true;
        while let Some(byte) = self.bytes.peek()? {
            let blank = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
            if at_start && !blank && self.bytes.place().indent <= indent {
                match byte {
                    b'{' | b'[' | b']' | b',' => return Ok(()),
                    b'}' => return self.bytes.skip().map(drop),
                    _ => {}
                }
            }
            at_start = matches!(byte, b'\n' | b'\r') || (at_start && blank);
            self.bytes.skip()?;
        }
        Ok(())
    }
}

/// Counts the open brackets outside of strings.
#[derive(Default)]
struct Nesting {
    depth: u32,
    in_string: bool,
    escaped: bool,
}

impl Nesting {
    fn closes_with(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.depth == 0 && !self.in_string
    }
}

#[cfg(test)]
mod tests;
