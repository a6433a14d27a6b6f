//! A program's stdout as properties, with bounded memory and errors that name the line.

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{GRACE, invalid_line};
use crate::sources::Property;
use crate::sources::property::{property, read_json};

/// Longest line in bytes, without its newline.
pub(super) const LINE_MAX: usize = 1024 * 1024;

/// Some programs, mostly on Windows, begin UTF-8 with it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A line that fails its location.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("line {number}: {reason}")]
    Invalid { number: u64, reason: String },
    #[error("failed to read stdout: {0}")]
    Read(std::io::Error),
}

/// Ends with the pipe, or [`GRACE`] after the program's exit if other processes hold the pipe open.
pub(super) struct Lines<'a, R> {
    reader: BufReader<R>,
    exited: &'a CancellationToken,
    line: Vec<u8>,
    number: u64,
}

/// The end of a piece read from the pipe.
enum Piece {
    More,
    LineEnd,
    PipeEnd,
}

impl<'a, R: AsyncRead + Unpin> Lines<'a, R> {
    pub(super) fn new(stdout: R, exited: &'a CancellationToken) -> Self {
        Self { reader: BufReader::new(stdout), exited, line: Vec::new(), number: 0 }
    }

    /// The next row, or `None` at the end.
    pub(super) async fn next_row(&mut self) -> Result<Option<Property>, LineError> {
        let Some(line) = self.next_line().await? else { return Ok(None) };
        let row = parse_row(line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line));
        row.map(Some).map_err(|reason| self.invalid(reason))
    }

    /// The next line that is not blank, or `None` at the end. The last line may lack its newline.
    pub(super) async fn next_line(&mut self) -> Result<Option<&[u8]>, LineError> {
        self.begin_line();
        let mut piece = Piece::More;
        while !matches!(piece, Piece::PipeEnd) {
            piece = self.read_piece().await?;
            if self.line.len() > LINE_MAX {
                return Err(self.invalid(format!("longer than {LINE_MAX} bytes")));
            }
            let text = self.line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&self.line);
            let blank = text.trim_ascii().is_empty();
            if !matches!(piece, Piece::More) && !blank {
                return Ok(Some(&self.line));
            }
            if matches!(piece, Piece::LineEnd) {
                self.begin_line();
            }
        }
        Ok(None)
    }

    fn begin_line(&mut self) {
        self.line.clear();
        self.number = self.number.saturating_add(1);
    }

    async fn read_piece(&mut self) -> Result<Piece, LineError> {
        let exited = self.exited;
        let idle_after_exit = async {
            exited.cancelled().await;
            sleep(GRACE).await;
        };
        let buffer = tokio::select! {
            biased;
            filled = self.reader.fill_buf() => filled.map_err(LineError::Read)?,
            () = idle_after_exit => &[],
        };
        if buffer.is_empty() {
            return Ok(Piece::PipeEnd);
        }
        let newline = buffer.iter().position(|byte| *byte == b'\n');
        let text = newline.and_then(|end| buffer.get(..end)).unwrap_or(buffer);
        self.line.extend_from_slice(text);
        let read = text.len().saturating_add(usize::from(newline.is_some()));
        self.reader.consume(read);
        Ok(newline.map_or(Piece::More, |_| Piece::LineEnd))
    }

    fn invalid(&self, reason: String) -> LineError {
        LineError::Invalid { number: self.number, reason }
    }
}

fn parse_row(line: &[u8]) -> Result<Property, String> {
    let text = std::str::from_utf8(line).map_err(|error| invalid_line::not_utf8(line, error))?;
    let value = read_json(text, |error| invalid_line::not_json(text, error))?;
    let Value::Object(body) = value else { return Err(invalid_line::not_an_object(text)) };
    property(body, "property_id")
}
