//! A scheduled job: settings, state of its schedule, and the history of its runs.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
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

/// Maximum length of a name, and of the reason of a pause, in characters.
pub const NAME_LENGTH: usize = 200;
/// Maximum of `max_concurrent_runs`.
pub const CONCURRENT_RUNS: i32 = 1_000;

/// Status of a scheduled job; only active jobs create runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Status {
    Active,
    Paused,
    Inactive,
}

/// Settings that a caller chose.
#[derive(Clone, Debug)]
pub struct Settings {
    pub name: String,
    pub schedule: Schedule,
    pub parameters: ScrapeParameters,
    /// Priority of the runs that ticks create.
    pub priority: Priority,
    pub labels: Labels,
    pub policy: RunPolicy,
    /// Maximum number of concurrent runs; 0 means no limit.
    pub max_concurrent_runs: i32,
    pub ticks: TickPolicy,
}

/// Settings as a caller sent them, unchecked.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingsDraft {
    pub name: String,
    pub cron_expression: String,
    /// IANA zone; empty means UTC.
    pub timezone: String,
    pub parameters: ScrapeParameters,
    /// Priority of the runs that ticks create.
    pub priority: Priority,
    pub labels: Labels,
    pub policy: RunPolicy,
    /// Maximum number of concurrent runs; 0 means no limit.
    pub max_concurrent_runs: i32,
    pub ticks: TickPolicy,
}

/// A watermark that is further ahead is from a wrong clock. The time may go back a little at every measurement.
pub const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(1);

/// State of the schedule, which admits or stops ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleState {
    pub status: Status,
    pub pause_reason: String,
    /// End of the pause, if it has one.
    pub paused_until: Option<DateTime<Utc>>,
    /// The status is retained for an undelete.
    pub deleted_at: Option<DateTime<Utc>>,
    /// Every tick at or before it has been decided, permanently.
    pub watermark: DateTime<Utc>,
    /// The first tick after the watermark; absent unless the job is active.
    pub next_tick_at: Option<DateTime<Utc>>,
}

/// History of the ended runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    pub run_count: i64,
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

#[derive(Clone, Debug)]
pub struct ScheduledJob {
    pub id: ScheduledJobId,
    pub settings: Settings,
    /// Increases with every change of the settings.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    /// Last change of settings or status.
    pub updated_at: DateTime<Utc>,
    pub gate: ScheduleState,
    pub history: History,
    /// Number of the current revision of settings and status.
    pub revision: i64,
    /// Stored values that are invalid, with paths as in the API; the job has placeholders for them.
    pub problems: Vec<Violation>,
}

impl SettingsDraft {
    /// Checks all settings and reports all violations, with paths relative to the scheduled job.
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
    /// A caller that sends it with an update is rejected if the settings have changed in between.
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
    /// A sentence for each likely mistake.
    pub fn warnings(&self, sources: &SourceNames) -> Vec<String> {
        let missing = sources.missing(&self.parameters);
        missing.into_iter().chain(self.schedule.warnings()).chain(self.ticks.warning()).collect()
    }

    /// A draft of the settings, to be changed and checked again.
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
    /// State of a new job: everything up to now is decided.
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

    /// Whether ticks were decided that are still to come: while the clock was ahead.
    pub fn is_ahead(&self, now: DateTime<Utc>) -> bool {
        self.watermark > now + CLOCK_TOLERANCE
    }

    /// The state with only the ticks up to `now` decided.
    #[must_use]
    pub fn rearmed(self, schedule: &Schedule, now: DateTime<Utc>) -> Self {
        Self { watermark: now, ..self }.with_next_tick(schedule)
    }

    /// The reason why a tick at this time creates no run, by the current status.
    pub fn obstacle_at(&self, instant: DateTime<Utc>) -> Option<String> {
        let time = |end: DateTime<Utc>| end.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        match (self.deleted_at, self.status) {
            (Some(_), _) => Some("the job is deleted".to_owned()),
            (None, Status::Active) => None,
            (None, Status::Inactive) => Some("the job is inactive".to_owned()),
            (None, Status::Paused) if self.paused_until.is_some_and(|end| end < instant) => None,
            (None, Status::Paused) => {
                let until = self.paused_until.map(|end| format!(" until {}", time(end)));
                let because = match self.pause_reason.as_str() {
                    "" => String::new(),
                    reason => format!(" ({reason})"),
                };
                Some(format!("the job is paused{}{because}", until.unwrap_or_default()))
            }
        }
    }

    /// True if ticks create runs.
    pub fn is_open(&self) -> bool {
        self.status == Status::Active && self.deleted_at.is_none()
    }

    /// End of the pause, if it has expired at `now`.
    pub fn pause_end(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let paused = self.status == Status::Paused && self.deleted_at.is_none();
        self.paused_until.filter(|until| paused && *until <= now)
    }

    /// The state with another status. All due ticks must have been decided before.
    #[must_use]
    pub fn with_status(self, status: Status, schedule: &Schedule) -> Self {
        let gate = Self { status, pause_reason: String::new(), paused_until: None, ..self };
        gate.with_next_tick(schedule)
    }

    /// The state with the next tick according to its schedule and status.
    #[must_use]
    pub fn with_next_tick(self, schedule: &Schedule) -> Self {
        let next = if self.is_open() { schedule.next_after(self.watermark) } else { None };
        Self { next_tick_at: next, ..self }
    }
}
