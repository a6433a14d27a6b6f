//! The two watches of `ScrapingJobService`, as specified in `watch.proto`.

use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use prost::Message;
use tonic::Status;
use windrow::encoded::WatchResponse;
use windrow::v1 as proto;
use windrow::v1::{ScrapingJobView as View, WatchKind as Kind};

use super::convert::{self, to_duration, to_run};
use super::status::status;
use crate::app::{App, AppError, Detail, Start, Update, WatchedRun, Watcher};
use crate::domain::filter::RunFilter;
use crate::domain::run::Run;

pub(super) type Responses = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

pub(super) async fn watch_one(
    app: &App,
    watcher: Watcher,
    request: proto::WatchScrapingJobRequest,
) -> Result<Responses, AppError> {
    let id = convert::run_id("job_id", &request.job_id)?;
    let detail = detail(request.view)?;
    let updates = app.watch_run(watcher, id, start(request)?).await?;
    Ok(responses(updates, detail))
}

pub(super) async fn watch_many(
    app: &App,
    watcher: Watcher,
    request: proto::WatchScrapingJobsRequest,
) -> Result<Responses, AppError> {
    let detail = detail(request.view)?;
    let description = format!("{} {}", request.scheduled_job_id, request.filter);
    let selection = RunFilter {
        scheduled_job_id: convert::optional_scheduled_job_id(
            "scheduled_job_id",
            &request.scheduled_job_id,
        )?,
        conditions: convert::run_conditions(&request.filter)?,
    };
    let token = Some(request.resume_token.as_str()).filter(|token| !token.is_empty());
    let updates = app.watch_runs(watcher, selection, &description, token).await?;
    Ok(responses(updates, detail))
}

fn responses(
    updates: impl Stream<Item = Result<Update, AppError>> + Send + 'static,
    detail: Detail,
) -> Responses {
    Box::pin(updates.map(move |update| match update {
        Ok(update) => Ok(to_response(update, detail)),
        Err(error) => Err(status(error)),
    }))
}

fn start(request: proto::WatchScrapingJobRequest) -> Result<Start, AppError> {
    match (request.after_revision, request.resume_token) {
        (Some(..0), _) => Err(AppError::invalid("after_revision", "must not be negative")),
        (None, token) if token.is_empty() => Ok(Start::Now),
        (None, token) => Ok(Start::Token(token)),
        (Some(revision), token) if token.is_empty() => Ok(Start::After(revision)),
        (Some(_), _) => {
            Err(AppError::invalid("resume_token", "cannot be combined with after_revision"))
        }
    }
}

fn detail(view: i32) -> Result<Detail, AppError> {
    match View::try_from(view) {
        Ok(View::Unspecified | View::Basic) => Ok(Detail::Basic),
        Ok(View::Full) => Ok(Detail::Full),
        Err(_) => Err(AppError::invalid("view", format!("{view} is not a view"))),
    }
}

fn to_response(update: Update, detail: Detail) -> WatchResponse {
    let of_run = |kind: Kind, run: &WatchedRun, resume_token| WatchResponse {
        kind: kind.into(),
        scraping_job: Some(run.encoded(detail, |run| encode(run, detail))),
        resume_token,
        feed_lag: None,
    };
    let of_none = |kind: Kind, resume_token, lag: Option<Duration>| WatchResponse {
        kind: kind.into(),
        scraping_job: None,
        resume_token,
        feed_lag: lag.and_then(to_duration),
    };
    match update {
        Update::Current(run) => of_run(Kind::Current, &run, String::new()),
        Update::Synced(token) => of_none(Kind::Synced, token, None),
        Update::Changed(run, token) => of_run(Kind::Changed, &run, token),
        Update::Left(run, token) => of_run(Kind::Left, &run, token),
        Update::Bookmark { token, lag } => of_none(Kind::Bookmark, token, lag),
    }
}

/// The run in a view. The basic view omits the lists that grow with the number of locations.
fn encode(run: &Run, detail: Detail) -> Vec<u8> {
    let mut response = to_run(run);
    match detail {
        Detail::Full => {}
        Detail::Basic => {
            response.failed_locations.clear();
            if let Some(parameters) = &mut response.parameters {
                parameters.locations.clear();
            }
        }
    }
    response.encode_to_vec()
}
