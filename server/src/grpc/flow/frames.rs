//! The messages within the bytes of a gRPC stream: each has a flag, its length in four bytes, and its content.

use crate::grpc::MAX_REQUEST_SIZE;

/// Flag and length.
const HEADER: usize = 5;
/// A compressed message may have up to this many times its length.
const COMPRESSION: usize = 1_032;

/// The place in a stream up to which its bytes are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frames {
    /// Within a header.
    Header { bytes: [u8; HEADER], count: usize },
    /// Within a message, which needs up to `memory` bytes.
    Message { left: usize, memory: usize },
}

impl Frames {
    pub(super) const START: Self = Self::Header { bytes: [0; HEADER], count: 0 };

    /// Moves on by these bytes; returns the memory of the largest message that ends in them.
    pub(super) fn add(&mut self, mut bytes: &[u8]) -> Option<usize> {
        let mut ended = None;
        while !bytes.is_empty() {
            let memory = self.memory();
            let taken;
            (*self, taken) = self.after(bytes);
            bytes = bytes.get(taken..).unwrap_or_default();
            if self.is_between() {
                ended = ended.max(Some(memory));
            }
        }
        ended
    }

    /// Whether the place is between two messages.
    pub(super) fn is_between(self) -> bool {
        matches!(self, Self::Header { count: 0, .. })
    }

    /// The memory that the incomplete message will take.
    pub(super) fn memory(self) -> usize {
        match self {
            Self::Header { .. } => 0,
            Self::Message { memory, .. } => memory,
        }
    }

    /// The place after the first of these bytes, and their number.
    fn after(self, bytes: &[u8]) -> (Self, usize) {
        match self {
            Self::Header { bytes: mut header, count } => {
                let missing = header.iter_mut().skip(count);
                let taken = missing.zip(bytes).map(|(place, byte)| *place = *byte).count();
                (Self::header(header, count + taken), taken)
            }
            Self::Message { left, memory } => {
                let taken = left.min(bytes.len());
                (Self::message(left - taken, memory), taken)
            }
        }
    }

    fn header(bytes: [u8; HEADER], count: usize) -> Self {
        if count < HEADER {
            return Self::Header { bytes, count };
        }
        let [flag, length @ ..] = bytes;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        let memory = if flag == 0 { length } else { length.saturating_mul(COMPRESSION) };
        // A longer message is rejected when its header is read.
        Self::message(length, memory.min(MAX_REQUEST_SIZE))
    }

    fn message(left: usize, memory: usize) -> Self {
        if left == 0 { Self::START } else { Self::Message { left, memory } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(flag: u8, length: u32) -> Vec<u8> {
        let mut bytes = vec![flag];
        bytes.extend(length.to_be_bytes());
        bytes.extend(vec![7; usize::try_from(length).unwrap()]);
        bytes
    }

    #[test]
    fn messages_end_where_their_headers_say() {
        let bytes = [message(0, 0), message(0, 10), message(0, 300)].concat();
        for split in 0..bytes.len() {
            let (first, rest) = bytes.split_at(split);
            let mut frames = Frames::START;
            let ended = [(20, 10), (5, 0)].into_iter().find(|(end, _)| split >= *end);
            assert_eq!(frames.add(first), ended.map(|(_, memory)| memory), "{split}");
            assert_eq!(frames.is_between(), [0, 5, 20].contains(&split), "{split}");
            assert!(frames.add(rest).is_some() && frames.is_between(), "{split}");
        }
    }

    #[test]
    fn an_incomplete_message_takes_its_length_or_more_if_it_is_compressed() {
        let check = |flag: u8, length: u32, expected: usize| {
            let mut frames = Frames::START;
            frames.add(&[&[flag], length.to_be_bytes().as_slice()].concat());
            assert_eq!(frames.memory(), expected, "{flag} {length}");
        };
        check(0, 1_000_000, 1_000_000);
        check(0, u32::MAX, MAX_REQUEST_SIZE);
        check(1, 1_000, 1_032_000);
        check(1, 1_000_000, MAX_REQUEST_SIZE);
    }
}
