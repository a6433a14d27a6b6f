//! Bounds the SETTINGS frames of an HTTP/2 connection. For each of them, h2 visits all streams of the connection without
//! a pause in which others could be served.

use std::time::Duration;

use tokio::time::Instant;

/// Number of frames within [`PERIOD`]. Clients that adapt their windows send some in a second.
const FRAMES: u32 = 100;
const PERIOD: Duration = Duration::from_secs(10);
/// Size of the header of a frame: length, type, flags and stream (RFC 9113, section 4.1).
const HEADER: usize = 9;
const SETTINGS: u8 = 4;
const ACK: u8 = 1;

/// What is known about the frames that a client has sent.
#[derive(Debug)]
pub(super) struct SettingsFlood {
    /// Bytes before the next header.
    skip: usize,
    /// The header as far as it has arrived.
    header: Vec<u8>,
    count: u32,
    since: Instant,
}

#[derive(Debug, thiserror::Error)]
#[error("the client sent more than {FRAMES} SETTINGS frames within {PERIOD:?}")]
pub(super) struct TooManySettings;

impl SettingsFlood {
    /// `preface` is the number of bytes before the first frame.
    pub(super) fn new(preface: usize) -> Self {
        Self { skip: preface, header: Vec::with_capacity(HEADER), count: 0, since: Instant::now() }
    }

    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Result<(), TooManySettings> {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            let (_, rest) = bytes.split_at(skipped);
            let missing = HEADER - self.header.len();
            let (part, rest) = rest.split_at(missing.min(rest.len()));
            self.header.extend_from_slice(part);
            bytes = rest;
            if let &[high, middle, low, kind, flags, _, _, _, _] = self.header.as_slice() {
                self.header.clear();
                let length = u32::from_be_bytes([0, high, middle, low]);
                self.skip = usize::try_from(length).unwrap_or(usize::MAX);
                if kind == SETTINGS && flags & ACK == 0 {
                    self.count()?;
                }
            }
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), TooManySettings> {
        if self.since.elapsed() > PERIOD {
            (self.count, self.since) = (0, Instant::now());
        }
        self.count += 1;
        if self.count > FRAMES { Err(TooManySettings) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, 0], payload].concat()
    }

    #[tokio::test(start_paused = true)]
    async fn settings_are_counted_wherever_reads_divide_them() {
        let others =
            [frame(0, 0, &[SETTINGS; 40]), frame(SETTINGS, ACK, &[]), frame(6, 0, &[0; 8])];
        let settings = frame(SETTINGS, 0, &[0, 4, 0, 0, 255, 255]);
        let some = [b"preface".to_vec(), others.concat(), settings.repeat(50)].concat();
        for size in [1, 2, 7, 9, 15, 1_000] {
            let mut flood = SettingsFlood::new(7);
            let read = |flood: &mut SettingsFlood, bytes: &[u8]| {
                bytes.chunks(size).try_for_each(|part| flood.read(part))
            };
            read(&mut flood, &some).unwrap();
            read(&mut flood, &settings.repeat(50)).unwrap();
            tokio::time::advance(PERIOD + Duration::from_millis(1)).await;
            read(&mut flood, &settings.repeat(100)).unwrap();
            assert!(read(&mut flood, &settings).is_err(), "parts of {size} bytes");
        }
    }
}
