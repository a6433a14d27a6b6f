//! Reads rows up to a number of bytes: a message has a maximum size, and rows that do not fit into it are not loaded.

use futures::{Stream, TryStreamExt};

use super::StoreError;
use crate::domain::size::{MESSAGE, Size};

/// The bytes that a page still has room for.
#[derive(Debug)]
pub struct Budget {
    left: usize,
    has_entries: bool,
    is_spent: bool,
}

impl Budget {
    pub fn new(bytes: usize) -> Self {
        Self { left: bytes, has_entries: false, is_spent: false }
    }

    /// The budget of the entries of a message that also has this one.
    pub fn beside(entry: &impl Size) -> Self {
        Self::new(MESSAGE.saturating_sub(entry.size()))
    }

    /// Takes the bytes of an entry; false if it does not fit. The first entry always fits.
    pub fn admits(&mut self, bytes: usize) -> bool {
        if self.has_entries && bytes > self.left {
            self.is_spent = true;
        }
        if !self.is_spent {
            self.left = self.left.saturating_sub(bytes);
            self.has_entries = true;
        }
        !self.is_spent
    }

    /// Whether an entry did not fit.
    pub fn is_spent(&self) -> bool {
        self.is_spent
    }

    /// Reads rows until one does not fit. The others are not loaded.
    pub(super) async fn collect<R, T: Size>(
        &mut self,
        rows: impl Stream<Item = Result<R, sqlx::Error>>,
        read: impl Fn(R) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.collect_if(rows, read, |_| true).await
    }

    /// Like [`Self::collect`], without the entries that `keep` rejects.
    pub(super) async fn collect_if<R, T: Size>(
        &mut self,
        rows: impl Stream<Item = Result<R, sqlx::Error>>,
        read: impl Fn(R) -> Result<T, StoreError>,
        keep: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, StoreError> {
        let mut rows = std::pin::pin!(rows);
        let mut entries = Vec::new();
        while let Some(row) = rows.try_next().await? {
            let entry = read(row)?;
            if !keep(&entry) {
                continue;
            }
            if !self.admits(entry.size()) {
                break;
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(MESSAGE)
    }
}
