//! A program's stdout as rows, with bounded memory and errors that name the line.

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::super::{ScrapedRow, row::row};
use super::GRACE;

/// The longest line in bytes, without its newline.
pub(super) const LINE_MAX: usize = 1024 * 1024;

/// A line that fails its location.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("line {number}: {reason}")]
    Bad { number: u64, reason: String },
    #[error("stdout cannot be read: {0}")]
    Unreadable(std::io::Error),
}

/// Ends with the pipe, or when the program is gone and whoever else holds the pipe is silent.
pub(super) struct Lines<'a, R> {
    reader: BufReader<R>,
    gone: &'a CancellationToken,
    line: Vec<u8>,
    number: u64,
}

/// What one look at the pipe brought.
enum Piece {
    More,
    LineEnd,
    PipeEnd,
}

impl<'a, R: AsyncRead + Unpin> Lines<'a, R> {
    pub(super) fn new(stdout: R, gone: &'a CancellationToken) -> Self {
        Self { reader: BufReader::new(stdout), gone, line: Vec::new(), number: 0 }
    }

    /// The next row, or `None` at the end.
    pub(super) async fn next_row(&mut self) -> Result<Option<ScrapedRow>, LineError> {
        let Some(line) = self.next_line().await? else { return Ok(None) };
        let row = row_parse(line);
        row.map(Some).map_err(|reason| self.bad(reason))
    }

    /// The next line that is not blank, or `None` at the end. The last line may lack its newline.
    pub(super) async fn next_line(&mut self) -> Result<Option<&[u8]>, LineError> {
        self.line_begin();
        let mut piece = Piece::More;
        while !matches!(piece, Piece::PipeEnd) {
            piece = self.piece_read().await?;
            if self.line.len() > LINE_MAX {
                return Err(self.bad(format!("longer than {LINE_MAX} bytes")));
            }
            let blank = self.line.trim_ascii().is_empty();
            if !matches!(piece, Piece::More) && !blank {
                return Ok(Some(&self.line));
            }
            if matches!(piece, Piece::LineEnd) {
                self.line_begin();
            }
        }
        Ok(None)
    }

    fn line_begin(&mut self) {
        self.line.clear();
        self.number = self.number.saturating_add(1);
    }

    async fn piece_read(&mut self) -> Result<Piece, LineError> {
        let gone = self.gone;
        let silence = async {
            gone.cancelled().await;
            sleep(GRACE).await;
        };
        let buffer = tokio::select! {
            biased;
            filled = self.reader.fill_buf() => filled.map_err(LineError::Unreadable)?,
            () = silence => &[],
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

    fn bad(&self, reason: String) -> LineError {
        LineError::Bad { number: self.number, reason }
    }
}

fn row_parse(line: &[u8]) -> Result<ScrapedRow, String> {
    let text = std::str::from_utf8(line).map_err(|_| "not UTF-8".to_owned())?;
    let value = serde_json::from_str(text).map_err(|error| json_reason(&error))?;
    let Value::Object(body) = value else { return Err("not a JSON object".to_owned()) };
    row(body, "property_id")
}

/// Names the column only: the parser's own "line 1" would contradict the line that we name.
fn json_reason(error: &serde_json::Error) -> String {
    format!("not JSON (at column {})", error.column())
}
