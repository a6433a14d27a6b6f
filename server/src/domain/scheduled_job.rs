//! A scheduled job: what to scrape and when, its status, and what its runs left behind.

use chrono::{DateTime, Utc};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::id::{RunId, ScheduledJobId};
use super::labels::{self, Labels};
use super::parameters::{ScrapeParameters, SourceNames};
use super::policy::RunPolicy;
use super::run::{NewRun, Origin, Priority, Status as RunStatus};
use super::schedule::Schedule;
use super::text::check_line;
use super::tick_policy::TickPolicy;
use super::violation::Violation;

/// Longest name, and longest reason of a pause, in characters.
pub const NAME_LENGTH: usize = 200;
/// Highest limit of runs at once.
pub const CONCURRENT_RUNS: i32 = 1_000;

/// Whether ticks make runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Status {
    Active,
    /// Held for a while.
    Paused,
    Inactive,
}

/// What a caller sets.
#[derive(Clone, Debug)]
pub struct Settings {
    pub name: String,
    pub schedule: Schedule,
    pub parameters: ScrapeParameters,
    /// Of the runs its ticks make.
    pub priority: Priority,
    /// To find it and its runs.
    pub labels: Labels,
    /// How stubbornly its runs are tried.
    pub policy: RunPolicy,
    /// At most so many of its runs are running at once; 0 is no limit.
    pub max_concurrent_runs: i32,
    /// What is done with late and overlapping ticks.
    pub ticks: TickPolicy,
}

/// What a caller sends, unchecked.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingsDraft {
    pub name: String,
    pub cron_expression: String,
    /// IANA zone; empty is UTC.
    pub timezone: String,
    pub parameters: ScrapeParameters,
    /// Of the runs its ticks make.
    pub priority: Priority,
    /// To find it and its runs.
    pub labels: Labels,
    /// How stubbornly its runs are tried.
    pub policy: RunPolicy,
    /// At most so many of its runs are running at once; 0 is no limit.
    pub max_concurrent_runs: i32,
    /// What is done with late and overlapping ticks.
    pub ticks: TickPolicy,
}

/// The schedule's side: the gate of its ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleState {
    /// Whether ticks make runs.
    pub status: Status,
    /// Why it is paused.
    pub pause_reason: String,
    /// When the pause ends by itself.
    pub paused_until: Option<DateTime<Utc>>,
    /// When it was deleted; the status is kept for Undelete.
    pub deleted_at: Option<DateTime<Utc>>,
    /// Every tick at or before it is decided, for ever.
    pub watermark: DateTime<Utc>,
    /// The first tick after the watermark while ticks make runs, else absent.
    pub next_tick_at: Option<DateTime<Utc>>,
}

/// What the runs that ended left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    pub run_count: i64,
    /// The one that ended last.
    pub last: Option<LastRun>,
}

/// The run that ended last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRun {
    /// Its start, or its end if it never started.
    pub run_at: DateTime<Utc>,
    pub status: RunStatus,
    pub job_id: RunId,
}

/// A scheduled job, whole.
#[derive(Clone, Debug)]
pub struct ScheduledJob {
    pub id: ScheduledJobId,
    /// What a caller set.
    pub settings: Settings,
    /// Grows with every change of the settings.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When settings or status last changed.
    pub updated_at: DateTime<Utc>,
    pub gate: ScheduleState,
    pub history: History,
    /// The number of the revision that settings and status are at.
    pub revision: i64,
    /// What could not be read of what is stored, with paths as in the API; placeholders stand for it.
    pub problems: Vec<Violation>,
}

impl SettingsDraft {
    /// Checks everything and reports all that is wrong, with paths relative to the scheduled job.
    pub fn check(self, sources: &SourceNames) -> Result<Settings, Vec<Violation>> {
        let mut violations = Vec::new();
        if let Err(description) = check_line(&self.name, NAME_LENGTH) {
            violations.push(Violation::new("name", description));
        }
        violations.extend(labels::check(&self.labels));
        violations.extend(self.policy.check().into_iter().map(|v| v.within("policy")));
        violations.extend(self.ticks.check());
        if !(0..=CONCURRENT_RUNS).contains(&self.max_concurrent_runs) {
            let text = format!("must be 1 to {CONCURRENT_RUNS}, or 0 for no limit");
            violations.push(Violation::new("max_concurrent_runs", text));
        }
        let schedule = Schedule::parse(&self.cron_expression, &self.timezone)
            .map_err(|error| violations.push(Violation::new(error.field(), error.to_string())));
        let parameters = self.parameters.complete(sources).map_err(|found| {
            violations.extend(found.into_iter().map(|v| v.within("parameters")));
        });
        match (schedule, parameters) {
            (Ok(schedule), Ok(parameters)) if violations.is_empty() => {
                let Self { name, priority, labels, policy, max_concurrent_runs, ticks, .. } = self;
                Ok(Settings {
                    name,
                    schedule,
                    parameters,
                    priority,
                    labels,
                    policy,
                    max_concurrent_runs,
                    ticks,
                })
            }
            (_, _) => Err(violations),
        }
    }
}

impl ScheduledJob {
    /// What a caller sends back to be refused if the settings were changed in between.
    pub fn etag(&self) -> String {
        format!("v{}", self.version)
    }

    /// The run of a tick, with the job's current settings.
    pub fn run_of_tick(&self, origin: Origin, tick_at: DateTime<Utc>) -> NewRun {
        NewRun {
            origin,
            scheduled_job_id: Some(self.id.clone()),
            original_job_id: None,
            priority: Priority::Normal,
            parameters: self.settings.parameters.clone(),
            requested_by: String::new(),
            labels: self.settings.labels.clone(),
            tick_at: Some(tick_at),
            available_at: None,
            queued: false,
            policy: self.settings.policy.clone(),
        }
    }
}

impl Settings {
    /// The settings as a draft, to be changed and checked again.
    pub fn draft(&self) -> SettingsDraft {
        SettingsDraft {
            name: self.name.clone(),
            cron_expression: self.schedule.cron_expression().to_owned(),
            timezone: self.schedule.timezone().to_owned(),
            parameters: self.parameters.clone(),
            priority: self.priority,
            labels: self.labels.clone(),
            policy: self.policy.clone(),
            max_concurrent_runs: self.max_concurrent_runs,
            ticks: self.ticks.clone(),
        }
    }
}

impl ScheduleState {
    /// The gate of a new job: everything up to now is decided.
    pub fn open(schedule: &Schedule, now: DateTime<Utc>) -> Self {
        Self {
            status: Status::Active,
            pause_reason: String::new(),
            paused_until: None,
            deleted_at: None,
            watermark: now,
            next_tick_at: schedule.next_after(now),
        }
    }

    /// Whether ticks make runs.
    pub fn is_open(&self) -> bool {
        self.status == Status::Active && self.deleted_at.is_none()
    }

    /// When the pause ran out, if it has at `now`.
    pub fn pause_end(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let paused = self.status == Status::Paused && self.deleted_at.is_none();
        self.paused_until.filter(|until| paused && *until <= now)
    }

    /// The gate in another status. Whatever was due must have been decided before.
    #[must_use]
    pub fn with_status(self, status: Status, schedule: &Schedule) -> Self {
        let gate = Self { status, pause_reason: String::new(), paused_until: None, ..self };
        gate.with_next_tick(schedule)
    }

    /// The gate with the next tick that its schedule and status give.
    #[must_use]
    pub fn with_next_tick(self, schedule: &Schedule) -> Self {
        let next = if self.is_open() { schedule.next_after(self.watermark) } else { None };
        Self { next_tick_at: next, ..self }
    }
}
