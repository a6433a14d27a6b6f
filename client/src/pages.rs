//! Pagers: lists as streams over all pages. A page is requested when the last item of the previous one was
//! taken.

use std::collections::VecDeque;
use std::future::Future;

use futures::stream::{self, BoxStream};

use crate::Error;

/// Page size of a stream unless the caller sets another.
pub(crate) const STREAM_PAGE_SIZE: u32 = 500;

/// The page size as the contract has it; the server lowers what is above its maximum.
pub(crate) fn size(page_size: u32) -> i32 {
    i32::try_from(page_size).unwrap_or(i32::MAX)
}

struct Pages<T, F> {
    fetch: F,
    items: VecDeque<T>,
    /// Token of the next page; none after the last.
    token: Option<String>,
}

/// The items of all pages from `token` on. `fetch` returns a page and the token of the next one.
pub(crate) fn items<T, F, P>(token: String, fetch: F) -> BoxStream<'static, Result<T, Error>>
where
    T: Send + 'static,
    F: Fn(String) -> P + Send + 'static,
    P: Future<Output = Result<(Vec<T>, String), Error>> + Send + 'static,
{
    let pages = Pages { fetch, items: VecDeque::new(), token: Some(token) };
    Box::pin(stream::try_unfold(pages, async |mut pages: Pages<T, F>| {
        loop {
            if let Some(item) = pages.items.pop_front() {
                return Ok(Some((item, pages)));
            }
            let Some(token) = pages.token.take() else { return Ok(None) };
            let (items, next) = (pages.fetch)(token.clone()).await?;
            pages.items = items.into();
            pages.token = following(&token, next)?;
        }
    }))
}

/// The token of the next page. A server that returns the same token again would never reach the end.
fn following(token: &str, next: String) -> Result<Option<String>, Error> {
    if !next.is_empty() && next == token {
        return Err(Error::Protocol("the server repeats a page of the list".to_owned()));
    }
    Ok(Some(next).filter(|next| !next.is_empty()))
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    async fn all(pages: &'static [(&[i32], &str)]) -> Result<Vec<i32>, Error> {
        let fetch = move |token: String| async move {
            let number = token.parse().unwrap_or(0);
            let (items, next): &(&[i32], &str) = &pages[number];
            Ok((items.to_vec(), (*next).to_owned()))
        };
        items(String::new(), fetch).try_collect().await
    }

    #[tokio::test]
    async fn all_pages_are_read_including_empty_ones() {
        assert_eq!(all(&[(&[1, 2], "1"), (&[], "2"), (&[3], "")]).await.unwrap(), [1, 2, 3]);
        assert_eq!(all(&[(&[], "")]).await.unwrap(), [0; 0]);
    }

    #[tokio::test]
    async fn a_page_that_leads_to_itself_is_an_error() {
        let error = all(&[(&[1], "1"), (&[2], "1")]).await.unwrap_err();
        assert!(matches!(error, Error::Protocol(_)), "{error:?}");
    }
}
