//! Lists as streams: every item of every page, the next page asked for when the last item of one is taken.

use std::collections::VecDeque;
use std::future::Future;

use futures::Stream;
use futures::stream::{self, BoxStream};

use crate::{Client, Code, Error, proto};

/// Pages are this long unless the request says otherwise.
const PAGE: i32 = 500;

impl Client {
    /// Every scheduled job that matches, by id. The request's `page_token`, if any, says where to begin.
    ///
    /// ```no_run
    /// # use futures::TryStreamExt;
    /// # use windrow_client::{Client, Error, proto};
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let request = proto::ListScheduledJobsRequest {
    ///     filter: "labels.team = sales".into(),
    ///     ..Default::default()
    /// };
    /// let mut jobs = client.list_all_scheduled_jobs(request);
    /// while let Some(job) = jobs.try_next().await? {
    ///     println!("{}", job.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn list_all_scheduled_jobs(
        &self,
        request: proto::ListScheduledJobsRequest,
    ) -> impl Stream<Item = Result<proto::ScheduledJob, Error>> + Send + Unpin + use<> {
        let client = self.clone();
        items(request.page_token.clone(), move |page_token| {
            let page_size = size(request.page_size);
            let request =
                proto::ListScheduledJobsRequest { page_size, page_token, ..request.clone() };
            let client = client.clone();
            async move {
                let page = client.list_scheduled_jobs(request).await?;
                Ok((page.scheduled_jobs, page.next_page_token))
            }
        })
    }

    /// Every run that matches, newest first. Runs made meanwhile are not among them.
    pub fn list_all_scraping_jobs(
        &self,
        request: proto::ListScrapingJobsRequest,
    ) -> impl Stream<Item = Result<proto::ScrapingJob, Error>> + Send + Unpin + use<> {
        let client = self.clone();
        items(request.page_token.clone(), move |page_token| {
            let page_size = size(request.page_size);
            let request =
                proto::ListScrapingJobsRequest { page_size, page_token, ..request.clone() };
            let client = client.clone();
            async move {
                let page = client.list_scraping_jobs(request).await?;
                Ok((page.scraping_jobs, page.next_page_token))
            }
        })
    }

    /// Every line of a run's log that matches, by number.
    pub fn list_all_scraping_job_logs(
        &self,
        request: proto::ListScrapingJobLogsRequest,
    ) -> impl Stream<Item = Result<proto::ScrapingJobLog, Error>> + Send + Unpin + use<> {
        let client = self.clone();
        items(request.page_token.clone(), move |page_token| {
            let page_size = size(request.page_size);
            let request =
                proto::ListScrapingJobLogsRequest { page_size, page_token, ..request.clone() };
            let client = client.clone();
            async move {
                let page = client.list_scraping_job_logs(request).await?;
                Ok((page.logs, page.next_page_token))
            }
        })
    }

    /// What became of every tick of a scheduled job, newest first.
    pub fn list_all_ticks(
        &self,
        request: proto::ListTicksRequest,
    ) -> impl Stream<Item = Result<proto::DecidedTick, Error>> + Send + Unpin + use<> {
        let client = self.clone();
        items(request.page_token.clone(), move |page_token| {
            let page_size = size(request.page_size);
            let request = proto::ListTicksRequest { page_size, page_token, ..request.clone() };
            let client = client.clone();
            async move {
                let page = client.list_ticks(request).await?;
                Ok((page.ticks, page.next_page_token))
            }
        })
    }
}

fn size(asked: i32) -> i32 {
    if asked == 0 { PAGE } else { asked }
}

struct Pages<T, F> {
    fetch: F,
    items: VecDeque<T>,
    /// Of the next page; none after the last.
    token: Option<String>,
}

/// The items of pages that `fetch` gets by their token, with the token of the page after.
fn items<T, F, P>(token: String, fetch: F) -> BoxStream<'static, Result<T, Error>>
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

/// The token of the next page. A server that hands out the same page again would never come to an end.
fn following(token: &str, next: String) -> Result<Option<String>, Error> {
    if !next.is_empty() && next == token {
        let message = "the server repeats a page of the list".to_owned();
        return Err(Error::Other { code: Code::Internal, message, reason: None });
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
    async fn all_pages_are_read_empty_ones_too() {
        assert_eq!(all(&[(&[1, 2], "1"), (&[], "2"), (&[3], "")]).await.unwrap(), [1, 2, 3]);
        assert_eq!(all(&[(&[], "")]).await.unwrap(), [0; 0]);
    }

    #[tokio::test]
    async fn a_page_that_leads_to_itself_is_an_error() {
        assert_eq!(all(&[(&[1], "1"), (&[2], "1")]).await.unwrap_err().code(), Code::Internal);
    }
}
