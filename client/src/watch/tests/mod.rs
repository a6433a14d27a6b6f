//! Watches of a server in this process that fails on purpose.

mod all;
mod one;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use super::*;
use crate::fake::End::{Closed, Silent};
use crate::fake::{Fake, Script, unused_address};
use crate::proto::{self, ScrapingJobStatus as S, WatchKind as Kind};
use crate::{Client, Code, Error, WatchAll};

type One = Result<proto::WatchScrapingJobResponse, Status>;
type All = Result<proto::WatchScrapingJobsResponse, Status>;

fn one(scripts: Vec<Script<proto::WatchScrapingJobResponse>>) -> Fake {
    let fake = Fake::default();
    *fake.ones.lock().unwrap() = scripts;
    fake
}

fn all(scripts: Vec<Script<proto::WatchScrapingJobsResponse>>) -> Fake {
    let fake = Fake::default();
    *fake.alls.lock().unwrap() = scripts;
    fake
}

#[expect(clippy::unnecessary_wraps, reason = "as messages have it")]
fn run(id: &str, revision: i64, status: S) -> Option<proto::ScrapingJob> {
    let (job_id, status) = (id.to_owned(), status.into());
    Some(proto::ScrapingJob { job_id, revision, status, ..Default::default() })
}

#[expect(clippy::unnecessary_wraps, reason = "an entry of a script, beside errors")]
fn at(revision: i64, status: S) -> One {
    let (kind, scraping_job) = (Kind::Changed.into(), run("x", revision, status));
    let resume_token = format!("after {revision}");
    Ok(proto::WatchScrapingJobResponse { kind, scraping_job, resume_token, ..Default::default() })
}

fn stopping<T>() -> Result<T, Status> {
    Err(Status::unavailable("stopping"))
}

fn full<T>() -> Result<T, Status> {
    Err(Status::resource_exhausted("too many watches"))
}

fn because<T>(reason: &str) -> Result<T, Status> {
    let details = ErrorDetails::with_error_info(reason, "windrow", HashMap::new());
    Err(Status::with_error_details(Code::OutOfRange, reason, details))
}

#[expect(clippy::unnecessary_wraps, reason = "an entry of a script, beside errors")]
fn message(kind: Kind, run: Option<proto::ScrapingJob>, token: &str) -> All {
    let (kind, resume_token) = (kind.into(), token.to_owned());
    Ok(proto::WatchScrapingJobsResponse {
        kind,
        scraping_job: run,
        resume_token,
        ..Default::default()
    })
}

async fn revisions(client: &Client, after_revision: i64) -> Result<Vec<i64>, Error> {
    client.watch("x").after(after_revision).states().map_ok(|run| run.revision).try_collect().await
}

fn short(event: Result<WatchEvent, Error>) -> String {
    match event {
        Ok(WatchEvent::Current(run)) => format!("current {}{}", run.job_id, run.revision),
        Ok(WatchEvent::Changed(run)) => format!("changed {}{}", run.job_id, run.revision),
        Ok(WatchEvent::Left(run)) => format!("left {}{}", run.job_id, run.revision),
        Ok(WatchEvent::Synced) => "synced".to_owned(),
        Ok(WatchEvent::Bookmark) => "bookmark".to_owned(),
        Ok(WatchEvent::Interrupted(error)) => format!("interrupted {:?}", error.code()),
        Ok(WatchEvent::Resynced(error)) => format!("resynced {error}"),
        Err(error) => format!("error {error}"),
    }
}

/// The first `count` events, shortened; fewer after an error.
async fn first(watch: WatchAll, count: usize) -> Vec<String> {
    watch.events().map(short).take(count).collect().await
}
