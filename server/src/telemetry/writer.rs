//! The way of log lines to stderr: a queue and a thread, so that logging never waits for a reader.
//!
//! A line that the queue has no space for, or that stderr refuses (a closed pipe, a full disk), is dropped and
//! counted. A warning says how many were dropped as soon as lines can be written again.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Bytes of lines that wait: seconds of a busy log, for a reader that is slow for a moment.
const QUEUE_MAX: usize = 1024 * 1024;
/// Pause before another try when stderr is a full pipe in non-blocking mode.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Log lines that this process has dropped.
pub fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Writes lines in the background. Clones share one queue.
#[derive(Clone)]
pub struct LogWriter(Arc<Queue>);

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    is_writing: bool,
    /// Lines dropped since the last warning.
    dropped: u64,
}

impl LogWriter {
    /// A writer to this process's stderr.
    pub fn to_stderr() -> io::Result<Self> {
        // A descriptor of its own: `io::stderr` has a lock, which a write that hangs would keep.
        Self::new(File::from(io::stderr().as_fd().try_clone_to_owned()?))
    }

    fn new(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Arc::<Queue>::default();
        let writer = Self(Arc::clone(&queue));
        thread::Builder::new().name("log".to_owned()).spawn(move || queue.write_to(sink))?;
        Ok(writer)
    }

    /// Waits until all lines are written or dropped, but not longer than `limit`.
    pub fn flush(&self, limit: Duration) {
        let waiting = |state: &mut State| state.is_writing || !state.lines.is_empty();
        let (state, changed) = (self.0.lock(), &self.0.changed);
        drop(changed.wait_timeout_while(state, limit, waiting));
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.0.lock();
        if state.bytes.saturating_add(line.len()) > QUEUE_MAX {
            state.drop_line();
        } else {
            state.bytes += line.len();
            state.lines.push_back(line.to_vec());
            self.0.changed.notify_all();
        }
    }
}

/// Each write is one line. Never fails and never waits for stderr.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Queue {
    fn write_to(&self, mut sink: impl Write) {
        loop {
            let line = self.next_line();
            if write_line(&mut sink, &line).is_err() {
                self.lock().drop_line();
            } else if let Some(dropped) = self.dropped_before() {
                tracing::warn!(
                    log.dropped_lines = dropped,
                    "Dropped {dropped} log lines: they could not be written to stderr in time"
                );
            }
        }
    }

    fn next_line(&self) -> Vec<u8> {
        let mut state = self.lock();
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.bytes = state.bytes.saturating_sub(line.len());
                state.is_writing = true;
                return line;
            }
            state.is_writing = false;
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The number of lines dropped since the last warning, once the queue is empty again.
    fn dropped_before(&self) -> Option<u64> {
        let mut state = self.lock();
        if !state.lines.is_empty() {
            return None;
        }
        Some(std::mem::take(&mut state.dropped)).filter(|dropped| *dropped > 0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn drop_line(&mut self) {
        self.dropped += 1;
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

fn write_line(sink: &mut impl Write, line: &[u8]) -> io::Result<()> {
    let mut rest = line;
    while !rest.is_empty() {
        match sink.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Another process can put a shared pipe into this mode.
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY_PAUSE),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Accepts a write only with a permission, which also says whether it succeeds.
    struct Gate {
        permissions: Receiver<bool>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.permissions.recv().unwrap_or(false) {
                self.written.send(bytes.to_vec()).unwrap();
                return Ok(bytes.len());
            }
            Err(ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (LogWriter, Sender<bool>, Receiver<Vec<u8>>) {
        let ((permit, permissions), (written, lines)) = (channel(), channel());
        (LogWriter::new(Gate { permissions, written }).unwrap(), permit, lines)
    }

    #[test]
    fn a_reader_that_hangs_costs_lines_but_no_time_and_no_memory() {
        let (mut writer, permit, lines) = gated();
        let line = vec![b'x'; 1024];
        // Twice the size of the queue. Would block here if a write waited.
        for _ in 0..2 * 1024 {
            writer.write_all(&line).unwrap();
        }
        assert!(writer.0.lock().bytes <= QUEUE_MAX);
        let dropped = writer.0.lock().dropped;
        assert!((1023..=1024).contains(&dropped), "{dropped}");
        drop((permit, lines));
    }

    #[test]
    fn refused_lines_are_dropped_counted_and_reported_once() {
        let (mut writer, permit, lines) = gated();
        for permission in [false, false, true] {
            permit.send(permission).unwrap();
        }
        for line in ["one\n", "two\n", "three\n"] {
            writer.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(lines.recv_timeout(PATIENCE).unwrap(), b"three\n");
        LogWriter::flush(&writer, PATIENCE);
        assert_eq!(writer.0.lock().dropped, 0);
        assert!(dropped_lines() >= 2);
    }

    #[test]
    fn a_flush_does_not_wait_longer_than_its_limit() {
        let (mut writer, permit, _lines) = gated();
        writer.write_all(b"line\n").unwrap();
        LogWriter::flush(&writer, Duration::from_millis(1));
        permit.send(true).unwrap();
        LogWriter::flush(&writer, PATIENCE);
        assert!(writer.0.lock().lines.is_empty());
    }
}
