//! Opens import files whatever their form: plain or gzip, a file, a pipe or stdin. Refuses formats that are not
//! UTF-8 JSON by name.

use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::format;

const STDIN: &str = "-";
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Enough to recognise a format, including the first line of a CSV file.
const HEAD_BYTES: u64 = 4_096;

/// A file that can be read several times.
pub(super) struct InputFile {
    pub(super) name: String,
    content: Content,
}

enum Content {
    Regular(PathBuf),
    /// An unnamed temporary copy of stdin or a pipe, which can be read only once.
    Copy(File),
}

impl InputFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let name = if path == STDIN { "stdin".to_owned() } else { path.display().to_string() };
        let content = Content::of(path).map_err(|error| with_name(&name, &error))?;
        Ok(Self { name, content })
    }

    /// Its text from the beginning, decompressed.
    pub(super) fn reader(&self) -> io::Result<Box<dyn Read>> {
        self.text().map_err(|error| with_name(&self.name, &error))
    }

    fn text(&self) -> io::Result<Box<dyn Read>> {
        let (head, reader) = with_head(self.content.reader()?)?;
        let (head, reader) = if head.starts_with(&GZIP) {
            with_head(MultiGzDecoder::new(reader))?
        } else {
            (head, reader)
        };
        match format::foreign(&head) {
            Some(problem) => Err(io::Error::new(io::ErrorKind::InvalidData, problem)),
            None => Ok(reader),
        }
    }
}

impl Content {
    fn of(path: &Path) -> io::Result<Self> {
        if path == STDIN {
            return Ok(Self::Copy(copy(io::stdin().lock())?));
        }
        if fs::metadata(path)?.is_file() {
            return Ok(Self::Regular(path.to_owned()));
        }
        Ok(Self::Copy(copy(File::open(path)?)?))
    }

    fn reader(&self) -> io::Result<File> {
        match self {
            Self::Regular(path) => File::open(path),
            Self::Copy(copy) => {
                let mut copy = copy.try_clone()?;
                copy.rewind()?;
                Ok(copy)
            }
        }
    }
}

fn copy(mut reader: impl Read) -> io::Result<File> {
    let mut copy = tempfile::tempfile()?;
    io::copy(&mut reader, &mut copy)?;
    Ok(copy)
}

/// The first bytes, and a reader of everything including them.
fn with_head(mut reader: impl Read + 'static) -> io::Result<(Vec<u8>, Box<dyn Read>)> {
    let mut head = Vec::new();
    reader.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    let all = Cursor::new(head.clone()).chain(reader);
    Ok((head, Box::new(all)))
}

pub(super) fn with_name(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {error}"))
}
