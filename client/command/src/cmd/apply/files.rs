//! Scheduled jobs in files.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use windrow_client::proto::ScheduledJob;

use crate::json::from_json;

/// Fields that a file may set.
const FIELDS: [&str; 12] = [
    "scheduled_job_id",
    "name",
    "cron_expression",
    "timezone",
    "priority",
    "labels",
    "parameters",
    "policy",
    "max_concurrent_runs",
    "catch_up",
    "overlap",
    "jitter",
];

/// A job and the file, and possibly the document, that describes it.
#[derive(Debug)]
pub(super) struct DesiredJob {
    pub(super) job: ScheduledJob,
    pub(super) place: String,
}

/// The jobs of all files, or all errors in them, one per line.
pub(super) fn read(names: &[String]) -> Result<Vec<DesiredJob>, String> {
    let mut files = Vec::new();
    for name in names {
        files.extend(texts(name)?);
    }
    let (mut jobs, mut errors) = (Vec::new(), Vec::new());
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    for (file, text) in files {
        let documents: Vec<Value> = match serde_saphyr::from_multiple(&text) {
            Ok(documents) => documents,
            Err(error) => {
                errors.push(format!("{file}: {error}"));
                continue;
            }
        };
        let several = documents.len() > 1;
        for (number, document) in (1..).zip(documents) {
            let place = if several { format!("{file}, document {number}") } else { file.clone() };
            let job = match job(document) {
                Ok(job) => job,
                Err(reason) => {
                    errors.push(format!("{place}: {reason}"));
                    continue;
                }
            };
            if let Some(first) = places.insert(job.scheduled_job_id.clone(), place.clone()) {
                errors.push(format!("{place}: {} is already in {first}", job.scheduled_job_id));
            }
            jobs.push(DesiredJob { job, place });
        }
    }
    if errors.is_empty() {
        Ok(jobs)
    } else {
        Err(format!("nothing was changed\n  {}", errors.join("\n  ")))
    }
}

/// Names and contents of a file, of all files in a directory, or of stdin.
fn texts(name: &str) -> Result<Vec<(String, String)>, String> {
    let failed = |error| format!("{name}: {error}");
    if name == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
        return Ok(vec![("stdin".to_owned(), text)]);
    }
    let path = Path::new(name);
    if !path.is_dir() {
        return Ok(vec![(name.to_owned(), fs::read_to_string(path).map_err(failed)?)]);
    }
    let entries: Result<Vec<_>, _> = fs::read_dir(path).map_err(failed)?.collect();
    let mut paths: Vec<PathBuf> = entries.map_err(failed)?.into_iter().map(|e| e.path()).collect();
    let fits = |path: &PathBuf| {
        path.extension().is_some_and(|extension| {
            ["yaml", "yml", "json"].iter().any(|known| extension == *known)
        })
    };
    paths.retain(fits);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok((path.display().to_string(), text))
    };
    paths.into_iter().map(read).collect()
}

fn job(document: Value) -> Result<ScheduledJob, String> {
    let Value::Object(fields) = &document else { return Err("not an object".to_owned()) };
    if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(format!("field {unknown} cannot be set; known fields: {}", FIELDS.join(", ")));
    }
    let job: ScheduledJob = from_json(document)?;
    if job.scheduled_job_id.is_empty() {
        return Err("scheduled_job_id is missing".to_owned());
    }
    Ok(job)
}

#[cfg(test)]
mod tests {
    use windrow_client::proto::{ListingType, ScrapingJobPriority};

    use super::*;

    fn read_text(text: &str) -> Result<Vec<DesiredJob>, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("jobs.yaml");
        fs::write(&file, text).unwrap();
        read(&[dir.path().display().to_string()])
    }

    const GOOD: &str = "
scheduled_job_id: sold
name: Sold
cron_expression: '0 2 * * *'
priority: high
labels: {team: sales}
parameters:
  locations: [\"46201\"]
  listing_types: [sold, LISTING_TYPE_PENDING]
  request_delay: 0.5s
  radius: 5
";

    #[test]
    fn a_document_is_a_job() {
        let jobs = read_text(&format!("{GOOD}---\n{}", GOOD.replace("sold\n", "sold2\n"))).unwrap();
        let job = &jobs[0].job;
        let parameters = job.parameters.as_ref().unwrap();
        assert_eq!((jobs.len(), job.priority()), (2, ScrapingJobPriority::High));
        assert_eq!(job.labels["team"], "sales");
        let kinds: Vec<_> = parameters.listing_types().collect();
        assert_eq!(kinds, [ListingType::Sold, ListingType::Pending]);
        assert_eq!(parameters.request_delay.unwrap().nanos, 500_000_000);
        assert_eq!(parameters.radius, Some(5.0));
    }

    #[test]
    fn every_error_has_its_place() {
        let check = |text: &str, expected: &str| {
            let error = read_text(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("name: x", "jobs.yaml: scheduled_job_id is missing");
        check("status: paused", "field status cannot be set; known fields: scheduled_job_id");
        check("- a", "not an object");
        check("scheduled_job_id: a\nparameters: {locatons: [x]}", "locatons");
        check("scheduled_job_id: a\npriority: urgent", "priority: unknown value 'urgent'");
        check("scheduled_job_id: a\nparameters: {past_days: many}", "parameters.past_days: ");
        check("scheduled_job_id: a\nparameters: {locations: 46201}", "parameters.locations: ");
        check("a: [", "jobs.yaml: ");
        check(&format!("{GOOD}---{GOOD}"), "document 2: sold is already in ");
        assert!(read(&["/absent.yaml".to_owned()]).unwrap_err().contains("/absent.yaml"));
    }
}
