//! The lines of several files, each with its place.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// MongoDB's limit of a document is 16 MiB; extended JSON may be longer.
const LONGEST: u64 = 64 * 1024 * 1024;

#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) place: String,
    /// Which line it is over all files, from 1.
    pub(super) count: u64,
}

/// All lines that hold something. A list, as `mongoexport --jsonArray` writes it, has a document a line
/// too.
pub(super) fn lines(files: &[PathBuf]) -> impl Iterator<Item = io::Result<Line>> {
    let all = files.iter().flat_map(|file| match read(file) {
        Ok(lines) => Either::Lines(lines),
        Err(error) => Either::Failed(Some(named(file, &error))),
    });
    all.zip(1..).map(|(line, count)| line.map(|line| Line { count, ..line }))
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
        let text = line(&mut reader).map_err(|error| named(file, &error)).transpose()?;
        let place = format!("{}:{number}", file.display());
        Some(text.map(|text| Line { text, place, count: 0 }))
    });
    Ok(numbered.filter(|line| line.as_ref().map_or(true, |line| !line.text.is_empty())))
}

/// The next line without what a list puts around it; `None` at the end.
fn line(reader: &mut BufReader<File>) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if reader.by_ref().take(LONGEST).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim().trim_start_matches(['[', ',', '\u{feff}']);
    Ok(Some(text.trim_end_matches([',', ']']).trim().to_owned()))
}

fn named(file: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", file.display()))
}
