//! Priorities of jobs and runs.

use windrow::v1 as proto;

use crate::app::AppError;
use crate::domain::run::Priority;

/// The priority; `None` if unspecified.
pub(in crate::grpc) fn priority(number: i32) -> Result<Option<Priority>, AppError> {
    match proto::ScrapingJobPriority::try_from(number) {
        Ok(proto::ScrapingJobPriority::Unspecified) => Ok(None),
        Ok(proto::ScrapingJobPriority::Low) => Ok(Some(Priority::Low)),
        Ok(proto::ScrapingJobPriority::Normal) => Ok(Some(Priority::Normal)),
        Ok(proto::ScrapingJobPriority::High) => Ok(Some(Priority::High)),
        Ok(proto::ScrapingJobPriority::Immediate) => Ok(Some(Priority::Immediate)),
        Err(_) => Err(AppError::invalid("priority", format!("{number} is not a priority"))),
    }
}

pub(super) fn to_priority(priority: Priority) -> proto::ScrapingJobPriority {
    match priority {
        Priority::Low => proto::ScrapingJobPriority::Low,
        Priority::Normal => proto::ScrapingJobPriority::Normal,
        Priority::High => proto::ScrapingJobPriority::High,
        Priority::Immediate => proto::ScrapingJobPriority::Immediate,
    }
}
