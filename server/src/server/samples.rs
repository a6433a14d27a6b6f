//! Creates two scheduled jobs in a new embedded database, so that there is something to trigger and
//! to watch.

use tracing::info;

use crate::app::{App, AppError, JobQuery, Mode, NewScheduledJob};
use crate::domain::filter::JobFilter;
use crate::domain::id::ScheduledJobId;
use crate::domain::labels::Labels;
use crate::domain::parameters::{ListingType, ScrapeParameters};
use crate::domain::policy::RunPolicy;
use crate::domain::run::Priority;
use crate::domain::scheduled_job::SettingsDraft;
use crate::domain::tick_policy::TickPolicy;
use crate::sources::SAMPLE;

const LOCATIONS: [&str; 3] = ["Indianapolis, IN", "Fort Wayne, IN", "Carmel, IN"];

/// Creates the sample jobs unless there is, or ever was, a scheduled job.
pub(super) async fn create_in_new(app: &App) -> Result<(), AppError> {
    let any = JobQuery {
        filter: JobFilter { show_deleted: true, ..JobFilter::default() },
        after: None,
        limit: 1,
    };
    if app.list_scheduled_jobs(any).await?.total > 0 {
        return Ok(());
    }
    let daily = ("sample_sold_daily", "Sample: sold, daily", "0 2 * * *", ListingType::Sold);
    let hourly =
        ("sample_for_sale_hourly", "Sample: for sale, hourly", "0 * * * *", ListingType::ForSale);
    for (id, name, cron_expression, listing_type) in [daily, hourly] {
        let draft = SettingsDraft {
            name: name.to_owned(),
            cron_expression: cron_expression.to_owned(),
            timezone: String::new(),
            parameters: ScrapeParameters {
                locations: LOCATIONS.map(str::to_owned).to_vec(),
                listing_types: vec![listing_type],
                source: Some(SAMPLE.to_owned()),
                ..ScrapeParameters::default()
            },
            priority: Priority::Normal,
            policy: RunPolicy::default(),
            max_concurrent_runs: 0,
            ticks: TickPolicy::default(),
            labels: Labels::from([("team".to_owned(), "sales".to_owned())]),
        };
        let id = ScheduledJobId::parse(id).ok();
        let requested_by = "sample".to_owned();
        let new = NewScheduledJob { id, draft, requested_by, idempotency_key: None };
        let id = app.create_scheduled_job(new, Mode::Commit).await?.id;
        info!(job.id = %id, "Created sample job {id}");
    }
    Ok(())
}
