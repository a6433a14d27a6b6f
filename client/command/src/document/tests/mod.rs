//! Documents as people write them.

mod errors;
mod values;
mod writing;

use super::*;

const SOLD: &str = "scheduled_job_id: sold\nname: Sold\ncron_expression: '0 2 * * *'\n";

fn job(text: &str) -> ScheduledJob {
    let (mut documents, faults) = read(text).unwrap();
    assert!(faults.is_empty(), "{text}: {faults:?}");
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0).job
}

fn faults(text: &str) -> Vec<String> {
    let (_, faults) = read(text).unwrap();
    faults.iter().map(ToString::to_string).collect()
}
