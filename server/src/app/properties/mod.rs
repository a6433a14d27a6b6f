//! Properties: counted, deduplicated and saved in the transaction that reports an attempt's progress.

mod content;
mod read;
mod report_call;
mod save;

use windrow_worker::Report;

use super::leases::Holder;
use super::{App, AppError};
use crate::domain::run::Run;

pub use self::content::IgnoredFields;
pub use self::read::PropertyDetail;
pub(super) use self::report_call::ReportCall;

/// Maximum number of properties of a report.
const REPORT_PROPERTIES: usize = 1_000;
/// Size of a property beside its content: its row and its keys.
const ROW_BYTES: usize = 256;

impl App {
    /// Saves a batch of properties, location results and log lines in one transaction. Of each property of a
    /// run the first row counts, across batches and attempts. A repeated report counts once.
    pub async fn submit_properties(
        &self,
        holder: &Holder,
        mut report: Report,
    ) -> Result<Run, AppError> {
        let size = normalize(&mut report)?;
        let call = ReportCall::new(self, holder, report, size)?;
        Ok(self.reports.call(call).await?.run)
    }
}

/// Checks a report; returns its approximate number of bytes. Every property of every source passes here before it is
/// stored.
fn normalize(report: &mut Report) -> Result<usize, AppError> {
    if report.properties.len() > REPORT_PROPERTIES {
        let text = format!("must have at most {REPORT_PROPERTIES} entries");
        return Err(AppError::invalid("properties", text));
    }
    if report.scraped_before < 0 {
        return Err(AppError::invalid("scraped_before", "must not be negative"));
    }
    let mut size = 0;
    for (index, row) in report.properties.iter_mut().enumerate() {
        let bytes = row.property.normalize().map_err(|error| {
            let field = format!("properties[{index}].{}", error.field());
            AppError::invalid(&field, error.to_string())
        })?;
        size += ROW_BYTES + bytes;
    }
    Ok(size)
}
