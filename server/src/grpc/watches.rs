//! The two watches of `ScrapingJobService`, as specified in `watch.proto`.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use prost_types::Duration as ProtoDuration;
use tonic::Status;
use windrow::v1 as proto;
use windrow::v1::{ScrapingJobView as View, WatchKind as Kind};

use super::convert::{self, to_duration, to_run};
use super::status::status;
use crate::app::{App, AppError, Start, Update, Watcher};
use crate::domain::filter::RunFilter;
use crate::domain::run::Run;

pub(super) type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

pub(super) async fn watch_one(
    app: &App,
    watcher: Watcher,
    request: proto::WatchScrapingJobRequest,
) -> Result<impl Stream<Item = Result<proto::WatchScrapingJobResponse, Status>> + use<>, AppError> {
    let id = convert::run_id("job_id", &request.job_id)?;
    let view = view(request.view)?;
    let updates = app.watch_run(watcher, id, start(request)?).await?;
    let response = move |update| {
        let WatchMessage { kind, run, resume_token, feed_lag } = to_message(update, view);
        let (kind, scraping_job) = (kind.into(), run);
        proto::WatchScrapingJobResponse { kind, scraping_job, resume_token, feed_lag }
    };
    Ok(updates.map(move |update| update.map(response).map_err(status)))
}

pub(super) async fn watch_many(
    app: &App,
    watcher: Watcher,
    request: proto::WatchScrapingJobsRequest,
) -> Result<impl Stream<Item = Result<proto::WatchScrapingJobsResponse, Status>> + use<>, AppError>
{
    let view = view(request.view)?;
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
    let response = move |update| {
        let WatchMessage { kind, run, resume_token, feed_lag } = to_message(update, view);
        let (kind, scraping_job) = (kind.into(), run);
        proto::WatchScrapingJobsResponse { kind, scraping_job, resume_token, feed_lag }
    };
    Ok(updates.map(move |update| update.map(response).map_err(status)))
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

fn view(number: i32) -> Result<View, AppError> {
    let unknown = |_| AppError::invalid("view", format!("{number} is not a view"));
    View::try_from(number).map_err(unknown)
}

/// The fields that both responses have in common.
struct WatchMessage {
    kind: Kind,
    run: Option<proto::ScrapingJob>,
    resume_token: String,
    feed_lag: Option<ProtoDuration>,
}

fn to_message(update: Update, view: View) -> WatchMessage {
    let of_run = |kind, run: Arc<Run>, resume_token| WatchMessage {
        kind,
        run: Some(to_response(&run, view)),
        resume_token,
        feed_lag: None,
    };
    let of_none = |kind, resume_token, lag: Option<Duration>| WatchMessage {
        kind,
        run: None,
        resume_token,
        feed_lag: lag.and_then(to_duration),
    };
    match update {
        Update::Current(run) => of_run(Kind::Current, run, String::new()),
        Update::Synced(token) => of_none(Kind::Synced, token, None),
        Update::Changed(run, token) => of_run(Kind::Changed, run, token),
        Update::Left(run, token) => of_run(Kind::Left, run, token),
        Update::Bookmark { token, lag } => of_none(Kind::Bookmark, token, lag),
    }
}

/// The run in a view. The basic view omits the lists that grow with the number of locations.
fn to_response(run: &Run, view: View) -> proto::ScrapingJob {
    let mut response = to_run(run);
    match view {
        View::Full => {}
        View::Unspecified | View::Basic => {
            response.failed_locations.clear();
            if let Some(parameters) = &mut response.parameters {
                parameters.locations.clear();
            }
        }
    }
    response
}
