//! The log file of Postgres: its limit, and its last lines for error messages.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::home::{Home, no_follow};

/// A larger log moves to `postgres.log.1`, which it replaces, so that no number of errors fills the disk.
const SIZE_LIMIT: u64 = 10 * 1024 * 1024;
/// Limits of the last lines in an error message.
const TAIL_BYTES: u64 = 8 * 1024;
const TAIL_LINES: usize = 20;

/// Opens the log for a new Postgres to append to.
pub(crate) fn open(home: &Home) -> Result<File, Error> {
    let path = home.log();
    if size(&path) > SIZE_LIMIT {
        fs::rename(&path, old(&path)).map_err(Error::file("rename", &path))?;
    }
    no_follow(OpenOptions::new().append(true).create(true))
        .mode(0o600)
        .open(&path)
        .map_err(Error::file("open", &path))
}

/// Empties a log beyond the limit, and keeps its end. Postgres has the file open and appends to it, so it cannot be
/// renamed; lines written meanwhile are lost.
pub(crate) async fn limit(home: &Home) {
    let path = home.log();
    if size(&path) <= SIZE_LIMIT {
        return;
    }
    let emptied = tokio::task::spawn_blocking(move || empty(&path)).await;
    if let Err(error) = emptied.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
        tracing::warn!(%error, "Failed to limit the log of Postgres");
    }
}

fn empty(path: &Path) -> io::Result<()> {
    let mut log = no_follow(OpenOptions::new().read(true).write(true)).open(path)?;
    let kept = keep_end(&mut log, &old(path));
    // Also if its end could not be kept: the disk may be full.
    log.set_len(0)?;
    kept
}

fn keep_end(log: &mut File, old: &Path) -> io::Result<()> {
    match fs::remove_file(old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(old)?;
    let length = log.metadata()?.len();
    log.seek(SeekFrom::Start(length.saturating_sub(SIZE_LIMIT)))?;
    io::copy(&mut log.take(SIZE_LIMIT), &mut copy)?;
    Ok(())
}

fn old(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

/// The size of the log, or 0 without one: the offset at which the next launch starts to write.
pub(crate) fn size(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |metadata| metadata.len())
}

/// The last lines written after the first `from` bytes.
pub(crate) fn tail(path: &Path, from: u64) -> String {
    let lines = read_from(path, from).map(|text| last_lines(&text));
    lines.unwrap_or_else(|error| format!("(unreadable: {error})"))
}

/// The last severe error at the end of the log, for example a full disk.
pub(crate) fn cause(path: &Path) -> Option<String> {
    let text = read_from(path, 0).ok()?;
    let severe = |line: &str| {
        let start = ["PANIC:", "FATAL:"].iter().filter_map(|word| line.find(word)).min()?;
        line.get(start..).map(str::to_owned)
    };
    text.lines().rev().find_map(severe)
}

fn read_from(path: &Path, from: u64) -> io::Result<String> {
    let mut file = no_follow(OpenOptions::new().read(true)).open(path)?;
    let length = file.metadata()?.len();
    // A shorter log was rotated, so all of it is new.
    let from = if from > length { 0 } else { from };
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL_BYTES))))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last lines of a program's output.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let skipped = lines.len().saturating_sub(TAIL_LINES);
    lines.into_iter().skip(skipped).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_tail_contains_only_lines_of_this_launch() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let path = dir.path().join("postgres.log");
        fs::write(&path, "before\nafter\n").unwrap();
        assert_eq!(tail(&path, 7), "after");
        assert_eq!(tail(&path, 700), "before\nafter");
    }

    #[test]
    fn the_cause_is_the_last_severe_error() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let path = dir.path().join("postgres.log");
        fs::write(&path, "x PANIC:  could not write: No space left on device\nx LOG:  bye\n")
            .unwrap();
        let cause = cause(&path);
        assert_eq!(cause.as_deref(), Some("PANIC:  could not write: No space left on device"));
    }

    #[tokio::test]
    async fn a_long_log_is_emptied_while_it_is_written() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let home = Home { dir: dir.path().to_path_buf() };
        let mut log = open(&home).unwrap();
        let line = format!("{}\n", "x".repeat(1023));
        for _ in 0..=SIZE_LIMIT / 1024 {
            log.write_all(line.as_bytes()).unwrap();
        }
        limit(&home).await;
        log.write_all(b"after\n").unwrap();
        limit(&home).await;
        assert_eq!(fs::read_to_string(home.log()).unwrap(), "after\n");
        assert_eq!(size(&old(&home.log())), SIZE_LIMIT);
    }

    #[test]
    fn a_long_log_is_rotated_at_a_launch() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let home = Home { dir: dir.path().to_path_buf() };
        File::create(home.log()).unwrap().set_len(SIZE_LIMIT + 1).unwrap();
        assert_eq!(open(&home).unwrap().metadata().unwrap().len(), 0);
        assert_eq!(size(&dir.path().join("postgres.log.1")), SIZE_LIMIT + 1);
    }
}
