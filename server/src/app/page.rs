//! Pages of a longer list: limited in entries, and in bytes so that every client can receive them.

use crate::store::Budget;

/// Rows of one query. Postgres prepares all rows of a query even if only the first ones fit into the page.
const PART: usize = 64;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Whether there is a next page.
    pub has_more: bool,
}

/// A page while it is read, part by part.
pub(super) struct PageReader<T> {
    limit: usize,
    items: Vec<T>,
    /// The bytes of the other items.
    pub(super) budget: Budget,
    is_complete: bool,
}

impl<T> PageReader<T> {
    /// Reads up to `limit` items that fit into a message.
    pub(super) fn new(limit: i64) -> Self {
        Self::within(Budget::default(), limit)
    }

    pub(super) fn within(budget: Budget, limit: i64) -> Self {
        let limit = usize::try_from(limit).unwrap_or_default();
        Self { limit, items: Vec::new(), budget, is_complete: false }
    }

    /// The number of rows to query next; `None` if the page is complete.
    pub(super) fn rows(&self) -> Option<i64> {
        // The item after the page shows that there is a next one.
        let rows = (self.limit + 1 - self.items.len()).min(PART);
        (!self.is_complete).then_some(i64::try_from(rows).unwrap_or(i64::MAX))
    }

    /// The item after which the next query begins.
    pub(super) fn last(&self) -> Option<&T> {
        self.items.last()
    }

    /// Adds the result of a query for `rows` rows within the budget.
    pub(super) fn add(&mut self, rows: i64, found: Vec<T>) {
        let is_short = i64::try_from(found.len()).is_ok_and(|count| count < rows);
        self.items.extend(found);
        self.is_complete = is_short || self.items.len() > self.limit;
    }

    pub(super) fn page(mut self) -> Page<T> {
        let has_more = self.budget.is_spent() || self.items.len() > self.limit;
        self.items.truncate(self.limit);
        Page { items: self.items, has_more }
    }
}

impl<T> Page<T> {
    /// The item after which the next page begins; `None` on the last page.
    pub fn next_after(&self) -> Option<&T> {
        self.items.last().filter(|_| self.has_more)
    }
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { items: Vec::new(), has_more: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads entries of these sizes; returns the length of the page and the number of queries.
    fn read(all: &[usize], limit: i64) -> (usize, bool, usize) {
        let (mut page, mut queries) = (PageReader::new(limit), 0);
        while let Some(rows) = page.rows() {
            queries += 1;
            let next = all.iter().skip(page.items.len()).take(usize::try_from(rows).unwrap());
            let found = next.copied().take_while(|bytes| page.budget.admits(*bytes)).collect();
            page.add(rows, found);
        }
        let page = page.page();
        (page.items.len(), page.has_more, queries)
    }

    #[test]
    fn a_page_ends_at_its_limit_of_entries_or_of_bytes() {
        const MIB: usize = 1024 * 1024;
        assert_eq!(read(&[], 2), (0, false, 1));
        assert_eq!(read(&[1, 1], 2), (2, false, 1));
        assert_eq!(read(&[1, 1, 1], 2), (2, true, 1));
        assert_eq!(read(&[MIB; 3], 50), (3, false, 1));
        assert_eq!(read(&[MIB; 4], 50), (3, true, 1));
        assert_eq!(read(&[9 * MIB; 4], 50), (1, true, 1), "an entry is never unreachable");
        assert_eq!(read(&[1; 150], 1_000), (150, false, 3));
        assert_eq!(read(&[1; 1_001], 1_000), (1_000, true, 16));
    }

    #[test]
    fn a_page_without_a_next_one_has_no_position() {
        let page = |has_more| Page { items: vec![1, 2], has_more };
        assert_eq!((page(true).next_after(), page(false).next_after()), (Some(&2), None));
    }
}
