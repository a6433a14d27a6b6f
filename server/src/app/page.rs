//! Pages of a longer list.

/// Rows to query for a page of `limit` items: the extra one shows that there is a next page.
pub(super) fn query_limit(limit: i64) -> i64 {
    limit.saturating_add(1)
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Whether there is a next page.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// Makes a page of up to `limit` items from [`query_limit`] rows.
    pub(super) fn from_rows(mut rows: Vec<T>, limit: i64) -> Self {
        let limit = usize::try_from(limit).unwrap_or_default();
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        Self { items: rows, has_more }
    }

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

    #[test]
    fn the_extra_row_shows_that_there_is_a_next_page() {
        let check = |rows: &[u8], expected: &[u8], next_after: Option<&u8>| {
            let page = Page::from_rows(rows.to_vec(), 2);
            assert_eq!((page.items.as_slice(), page.next_after()), (expected, next_after));
        };
        assert_eq!(query_limit(2), 3);
        check(&[], &[], None);
        check(&[1, 2], &[1, 2], None);
        check(&[1, 2, 3], &[1, 2], Some(&2));
    }
}
