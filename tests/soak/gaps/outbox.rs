//! The messages that each watcher has to see, computed from the events in the table.

use std::collections::HashMap;

use sqlx::{PgPool, Row};
use windrow_client::proto::{ScrapingJobStatus as Status, WatchKind as Kind};

use super::watcher::{Interest, Seen};

/// A status change or a progress update.
#[derive(Clone, Debug)]
pub struct Event {
    id: i64,
    job_id: String,
    scheduled_job_id: String,
    priority: String,
    revision: i64,
    status: Status,
    before: Option<Status>,
}

/// All events in commit order, and their places by run and revision.
pub struct Outbox {
    pub events: Vec<Event>,
    places: HashMap<(String, i64), usize>,
}

impl Outbox {
    pub async fn read(pool: &PgPool) -> Self {
        let rows = sqlx::query(
            "select e.id, e.job_id, r.scheduled_job_id, r.priority, e.revision, e.status,
                 lag(e.status) over (partition by e.job_id order by e.revision) as before
             from run_event e join scraping_job r using (job_id) order by e.xid, e.id",
        )
        .fetch_all(pool)
        .await
        .unwrap();
        let events: Vec<Event> = rows
            .into_iter()
            .map(|row| Event {
                id: row.get("id"),
                job_id: row.get("job_id"),
                scheduled_job_id: row.get("scheduled_job_id"),
                priority: row.get("priority"),
                revision: row.get("revision"),
                status: status(row.get("status")),
                before: row.get::<Option<&str>, _>("before").map(status),
            })
            .collect();
        let places = events.iter().enumerate();
        let places = places.map(|(i, e)| ((e.job_id.clone(), e.revision), i)).collect();
        Self { events, places }
    }

    pub fn status_changes(&self) -> usize {
        self.events.iter().filter(|event| !event.is_progress()).count()
    }

    /// Events that follow a later event of the same run.
    pub fn disordered(&self) -> Vec<&Event> {
        let mut last = HashMap::new();
        let is_early = |event: &&Event| {
            let before = last.insert(event.job_id.clone(), event.revision);
            before.is_some_and(|before| before > event.revision)
        };
        self.events.iter().filter(is_early).collect()
    }

    /// Events with a lower id than their predecessor. A poller with `id > last` would miss them.
    pub fn inversions(&self) -> usize {
        self.events.windows(2).filter(|pair| pair[1].id < pair[0].id).count()
    }

    /// The status changes that a watcher has to see, in order.
    pub fn expected(&self, interest: &Interest) -> Vec<Seen> {
        self.events
            .iter()
            .filter(|event| !event.is_progress())
            .filter_map(|e| e.message(interest))
            .collect()
    }

    /// Messages of a watcher without progress updates, which may be merged. Each has to match an event.
    pub fn changes(&self, seen: &[Seen], interest: &Interest) -> Vec<Seen> {
        let is_change = |one: &&Seen| {
            let place = self.places.get(&(one.job_id.clone(), one.revision));
            let event = &self.events[*place.unwrap_or_else(|| panic!("no such event: {one:?}"))];
            assert_eq!(event.message(interest).as_ref(), Some(*one), "{event:?}");
            !event.is_progress()
        };
        seen.iter().filter(is_change).cloned().collect()
    }
}

impl Event {
    fn is_progress(&self) -> bool {
        self.before == Some(self.status)
    }

    /// The message that a watcher gets for this event.
    fn message(&self, interest: &Interest) -> Option<Seen> {
        let kind = match interest {
            Interest::Everything => Some(Kind::Changed),
            Interest::Run(run) => (*run == self.job_id).then_some(Kind::Changed),
            Interest::Job(job) => (*job == self.scheduled_job_id).then_some(Kind::Changed),
            Interest::Urgent => (self.priority == "high").then_some(Kind::Changed),
            Interest::Status(status) if self.status == *status => Some(Kind::Changed),
            Interest::Status(status) => (self.before == Some(*status)).then_some(Kind::Left),
        };
        kind.map(|kind| Seen {
            kind,
            job_id: self.job_id.clone(),
            revision: self.revision,
            status: self.status,
        })
    }
}

fn status(word: &str) -> Status {
    Status::from_str_name(&format!("SCRAPING_JOB_STATUS_{}", word.to_uppercase())).unwrap()
}
