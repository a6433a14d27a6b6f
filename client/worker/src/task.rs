//! A task: one location of one attempt, between the source that scrapes it and the worker that reports it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::attempt::Level;
use crate::property::Property;
use crate::secrets::Secrets;
use crate::source::SourceError;
use crate::task_log::{TaskLine, TaskLog};

/// Properties that a source may be ahead of the reports.
const QUEUE: usize = 64;
/// Bytes by which a source may be ahead of the reports. A larger property waits until it is alone.
const QUEUE_BYTES: u32 = 4 * 1024 * 1024;

/// One location of one attempt: describes the work of a source and receives its results.
#[derive(Debug)]
pub struct Task {
    request: ScrapeRequest,
    properties: mpsc::Sender<Queued>,
    /// Permits for the bytes of queued properties.
    room: Arc<Semaphore>,
    log: Arc<TaskLog>,
    cancel: CancellationToken,
    pushed: AtomicU64,
}

#[derive(Debug)]
struct Queued {
    property: Property,
    _room: OwnedSemaphorePermit,
}

/// The location and the run of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeRequest {
    /// The id of the run.
    pub job_id: String,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The scheduled job of the run; `None` for a one-off run.
    pub scheduled_job_id: Option<String>,
    /// The origin of the run as in the API, for example `scheduled`.
    pub origin: String,
    /// The tick of a scheduled run.
    pub tick_at: Option<DateTime<Utc>>,
    /// `past_days` counts back from this time.
    pub reference_time: DateTime<Utc>,
    /// The location as the user wrote it.
    pub location: String,
    /// All parameters of the run as proto JSON with `snake_case` names.
    pub parameters: Value,
    /// Listing types, for example `["FOR_SALE", "SOLD"]`; empty means the source's default.
    pub listing_types: Vec<String>,
    /// Maximum number of properties of this location. [`Task::push`] enforces it.
    pub limit: u32,
    /// An earlier run has read everything before this time. Set only for sources with
    /// [`Source::full_every`](crate::Source::full_every).
    pub changed_since: Option<DateTime<Utc>>,
}

impl ScrapeRequest {
    /// Whether the run sets a limit itself. Without one, [`Self::limit`] is the server's maximum.
    pub fn has_limit(&self) -> bool {
        self.parameters.get("limit").is_some()
    }

    /// Only listings changed in this many days before [`Self::reference_time`].
    pub fn past_days(&self) -> Option<i64> {
        self.parameters.get("past_days").and_then(Value::as_i64)
    }

    /// Search radius in miles.
    pub fn radius(&self) -> Option<f64> {
        self.parameters.get("radius").and_then(Value::as_f64)
    }

    /// The result of a location with more listings than its limit. Without a limit of the run's own it
    /// fails, or the run would seem complete although listings are missing.
    pub fn limit_exceeded(&self) -> Result<(), SourceError> {
        if self.has_limit() {
            return Ok(());
        }
        Err(SourceError::permanent(format!(
            "has more than {} listings: use smaller locations, or set a limit",
            self.limit
        )))
    }
}

impl Task {
    /// A task and the end that receives what its source finds. Workers create tasks; tests of a source may
    /// do so with [`scrape`](crate::scrape()).
    pub fn new(request: ScrapeRequest) -> (Self, TaskOutput) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let log = Arc::new(TaskLog::default());
        let output = TaskOutput { properties: receiver, log: Arc::clone(&log) };
        let (cancel, pushed) = (CancellationToken::new(), AtomicU64::new(0));
        let room = usize::try_from(QUEUE_BYTES).unwrap_or(Semaphore::MAX_PERMITS);
        let room = Arc::new(Semaphore::new(room));
        (Self { request, properties: sender, room, log, cancel, pushed }, output)
    }

    /// The location as the user wrote it.
    pub fn location(&self) -> &str {
        &self.request.location
    }

    /// All that is known about the location and its run.
    pub fn request(&self) -> &ScrapeRequest {
        &self.request
    }

    /// Reports a property. Waits while the queue to the server is full.
    ///
    /// Fails if the property cannot be stored, and after the limit of the location or a cancellation.
    /// Return the error with `?`: the worker knows its reason. Properties pushed before it are kept.
    pub async fn push(&self, mut property: Property) -> Result<(), SourceError> {
        let size = property.normalize();
        let size = size.map_err(|error| SourceError::failed(error.about(&property.id)))?;
        if self.pushed.fetch_add(1, Ordering::Relaxed) >= u64::from(self.request.limit) {
            return Err(SourceError::Stopped);
        }
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(SourceError::Stopped),
            sent = self.send(property, size) => sent,
        }
    }

    async fn send(&self, property: Property, size: usize) -> Result<(), SourceError> {
        let bytes = u32::try_from(size).unwrap_or(QUEUE_BYTES).min(QUEUE_BYTES);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await;
        let queued = Queued { property, _room: room.map_err(|_closed| SourceError::Stopped)? };
        self.properties.send(queued).await.map_err(|_closed| SourceError::Stopped)
    }

    /// Hides these secrets in the log.
    pub(crate) fn hide(&self, secrets: Secrets) {
        self.log.hide(secrets);
    }

    /// Writes to the log of the run, which shows it while the source works.
    pub fn log(&self, text: impl AsRef<str>) {
        self.log_at(Level::Info, text);
    }

    /// Writes to the log of the run with a severity.
    pub fn log_at(&self, level: Level, text: impl AsRef<str>) {
        self.log.write(level, text.as_ref());
    }

    /// Completes when the source has to stop: the run is cancelled, the location timed out, the lease is
    /// lost, or the worker is shutting down.
    ///
    /// For sources with a [`Source::wind_down`](crate::Source::wind_down); others are dropped at once.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Whether the source has to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Completes when nobody receives properties any more.
    pub(crate) async fn receiver_gone(&self) {
        self.properties.closed().await;
    }

    pub(crate) fn is_over_limit(&self) -> bool {
        self.pushed.load(Ordering::Relaxed) > u64::from(self.request.limit)
    }
}

/// The receiving end of a task.
#[derive(Debug)]
pub struct TaskOutput {
    properties: mpsc::Receiver<Queued>,
    log: Arc<TaskLog>,
}

/// Something that a source found or logged.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// A property of the location.
    Property(Property),
    /// A line of the log.
    Line(TaskLine),
}

impl TaskOutput {
    /// The next property or line; `None` after the task is gone and everything is read. Cancel-safe.
    pub async fn next(&mut self) -> Option<Found> {
        loop {
            if let Some(line) = self.log.next_live() {
                return Some(Found::Line(line));
            }
            tokio::select! {
                biased;
                queued = self.properties.recv() => {
                    let Some(queued) = queued else { return self.log.next().map(Found::Line) };
                    return Some(Found::Property(queued.property));
                }
                () = self.log.written() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::tests::request;

    fn property(id: &str) -> Property {
        Property::new(id, Map::new())
    }

    #[tokio::test]
    async fn the_log_arrives_while_the_source_works_and_after_it() {
        let (task, mut output) = Task::new(request());
        task.log("begin");
        let Some(Found::Line(line)) = output.next().await else { panic!("no line") };
        assert_eq!((line.level, line.text.as_str()), (Level::Info, "begin"));
        task.push(property("a")).await.unwrap();
        task.log_at(Level::Warning, "end");
        drop(task);
        let mut rest = Vec::new();
        while let Some(found) = output.next().await {
            rest.push(matches!(found, Found::Property(_)));
        }
        assert_eq!(rest.len(), 2);
    }

    #[tokio::test]
    async fn a_property_that_cannot_be_stored_fails_the_location() {
        let (task, _output) = Task::new(request());
        let error = task.push(property("")).await.unwrap_err();
        assert_eq!(error.to_string(), "property_id must have 1 to 200 characters");
    }

    #[tokio::test]
    async fn nothing_is_pushed_beyond_the_limit_or_after_a_cancellation() {
        let (task, _output) = Task::new(ScrapeRequest { limit: 1, ..request() });
        task.push(property("a")).await.unwrap();
        assert!(!task.is_over_limit());
        assert_eq!(task.push(property("b")).await, Err(SourceError::Stopped));
        assert!(task.is_over_limit());
        let (task, _output) = Task::new(request());
        task.cancel();
        assert_eq!(task.push(property("a")).await, Err(SourceError::Stopped));
    }

    #[tokio::test(start_paused = true)]
    async fn large_properties_wait_until_earlier_ones_are_read() {
        let (task, mut output) = Task::new(request());
        let large = || {
            let numbers = vec![Value::from(1); 80_000];
            Property::new("a", Map::from_iter([("numbers".to_owned(), numbers.into())]))
        };
        for _ in 0..4 {
            task.push(large()).await.unwrap();
        }
        let waiting = std::time::Duration::from_secs(1);
        assert!(tokio::time::timeout(waiting, task.push(large())).await.is_err(), "no room");
        output.next().await.unwrap();
        task.push(large()).await.unwrap();
    }

    #[test]
    fn parameters_are_read_by_name() {
        let parameters = json!({ "past_days": 3, "radius": 1.5 });
        let request = ScrapeRequest { parameters, ..request() };
        assert_eq!((request.past_days(), request.radius()), (Some(3), Some(1.5)));
        assert!(!request.has_limit());
    }
}
