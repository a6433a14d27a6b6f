//! Selection of scheduled jobs by their labels.

use clap::Args;
use windrow_client::proto::ScheduledJob;

use super::label;

/// Labels that a job must have.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Selector {
    /// Only jobs with this label, for example team=sales; repeatable, and a job needs all of them.
    #[arg(short = 'l', long = "selector", value_name = "KEY=VALUE", value_parser = label)]
    #[arg(value_delimiter = ',')]
    labels: Vec<(String, String)>,
}

impl Selector {
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    pub(crate) fn selects(&self, job: &ScheduledJob) -> bool {
        self.missing(job).is_none()
    }

    /// A selected label that the job does not have, as `KEY=VALUE`.
    pub(crate) fn missing(&self, job: &ScheduledJob) -> Option<String> {
        let missing = self.labels.iter().find(|(key, value)| job.labels.get(key) != Some(value));
        missing.map(|(key, value)| format!("{key}={value}"))
    }
}
