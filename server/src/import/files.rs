//! Reads the lines of several files, each with its position.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// MongoDB limits a document to 16 MiB; extended JSON may be longer.
const MAX_LINE_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) text: String,
    /// File and line number, as `file:line`.
    pub(super) position: String,
    /// Line number over all files, from 1.
    pub(super) overall_number: u64,
}

/// All nonempty lines. A list from `mongoexport --jsonArray` also has one document per line.
pub(super) fn lines(files: &[PathBuf]) -> impl Iterator<Item = io::Result<Line>> {
    let all = files.iter().flat_map(|file| match read(file) {
        Ok(lines) => Either::Lines(lines),
        Err(error) => Either::Failed(Some(with_file_name(file, &error))),
    });
    all.zip(1..).map(|(line, overall_number)| line.map(|line| Line { overall_number, ..line }))
}

enum Either<L> {
    Lines(L),
    Failed(Option<io::Error>),
}

impl<L: Iterator<Item = io::Result<Line>>> Iterator for Either<L> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Lines(lines) => lines.next(),
            Self::Failed(error) => error.take().map(Err),
        }
    }
}

fn read(file: &Path) -> io::Result<impl Iterator<Item = io::Result<Line>> + use<'_>> {
    let mut reader = BufReader::new(File::open(file)?);
    let mut number = 0_u64;
    let numbered = std::iter::from_fn(move || {
        number += 1;
        let text =
            next_line(&mut reader).map_err(|error| with_file_name(file, &error)).transpose()?;
        let position = format!("{}:{number}", file.display());
        Some(text.map(|text| Line { text, position, overall_number: 0 }))
    });
    Ok(numbered.filter(|line| line.as_ref().map_or(true, |line| !line.text.is_empty())))
}

/// The next line without the brackets and commas of a list; `None` at the end.
fn next_line(reader: &mut BufReader<File>) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim().trim_start_matches(['[', ',', '\u{feff}']);
    Ok(Some(text.trim_end_matches([',', ']']).trim().to_owned()))
}

fn with_file_name(file: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", file.display()))
}
