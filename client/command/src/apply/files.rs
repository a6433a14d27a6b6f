//! The jobs that files describe.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage};
use serde_json::{Map, Value};
use windrow_client::proto;

/// What a file may set.
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

/// A job, and where it is described.
#[derive(Debug)]
pub(super) struct DesiredJob {
    pub(super) job: proto::ScheduledJob,
    pub(super) place: String,
}

/// All jobs of all files; or all that is wrong with them, a line each.
pub(super) fn read(names: &[String]) -> Result<Vec<DesiredJob>, String> {
    let mut files = Vec::new();
    for name in names {
        files.extend(texts(name)?);
    }
    let (mut jobs, mut wrong) = (Vec::new(), Vec::new());
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    for (file, text) in files {
        let documents: Vec<Value> = match serde_saphyr::from_multiple(&text) {
            Ok(documents) => documents,
            Err(error) => {
                wrong.push(format!("{file}: {error}"));
                continue;
            }
        };
        let several = documents.len() > 1;
        for (number, document) in (1..).zip(documents) {
            let place = if several { format!("{file}, document {number}") } else { file.clone() };
            let job = match job(document) {
                Ok(job) => job,
                Err(reason) => {
                    wrong.push(format!("{place}: {reason}"));
                    continue;
                }
            };
            if let Some(first) = places.insert(job.scheduled_job_id.clone(), place.clone()) {
                wrong.push(format!("{place}: {} is in {first} already", job.scheduled_job_id));
            }
            jobs.push(DesiredJob { job, place });
        }
    }
    if wrong.is_empty() {
        Ok(jobs)
    } else {
        Err(format!("nothing was changed\n  {}", wrong.join("\n  ")))
    }
}

/// Names and texts of a file, of all files of a directory, or of stdin.
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
        path.extension()
            .is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known))
    };
    paths.retain(fits);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok((path.display().to_string(), text))
    };
    paths.into_iter().map(read).collect()
}

/// Proto JSON, with the short words for enum values.
fn job(document: Value) -> Result<proto::ScheduledJob, String> {
    let Value::Object(mut fields) = document else { return Err("is no object".to_owned()) };
    if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(format!("field {unknown} cannot be set; these can: {}", FIELDS.join(", ")));
    }
    lengthen(&mut fields, "priority", "SCRAPING_JOB_PRIORITY_");
    lengthen(&mut fields, "overlap", "OVERLAP_POLICY_");
    if let Some(Value::Object(catch_up)) = fields.get_mut("catch_up") {
        lengthen(catch_up, "mode", "CATCH_UP_MODE_");
    }
    if let Some(Value::Object(parameters)) = fields.get_mut("parameters") {
        lengthen(parameters, "listing_types", "LISTING_TYPE_");
    }
    let pool = DescriptorPool::decode(windrow::FILE_DESCRIPTOR_SET).map_err(|e| e.to_string())?;
    let descriptor = pool.get_message_by_name("windrow.v1.ScheduledJob");
    let descriptor = descriptor.ok_or("there is no message ScheduledJob")?;
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let read =
        DynamicMessage::deserialize_with_options(descriptor, Value::Object(fields), &options);
    let job: proto::ScheduledJob =
        read.map_err(|e| e.to_string())?.transcode_to().map_err(|e| e.to_string())?;
    if job.scheduled_job_id.is_empty() {
        return Err("scheduled_job_id is missing".to_owned());
    }
    Ok(job)
}

/// `sold` is `LISTING_TYPE_SOLD`.
fn lengthen(fields: &mut Map<String, Value>, name: &str, prefix: &str) {
    let long = |word: &str| {
        if word.starts_with(prefix) {
            word.to_owned()
        } else {
            format!("{prefix}{}", word.to_uppercase())
        }
    };
    match fields.get_mut(name) {
        Some(Value::String(word)) => *word = long(word),
        Some(Value::Array(words)) => {
            for word in words {
                if let Value::String(text) = word {
                    *text = long(text);
                }
            }
        }
        Some(_) | None => {}
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!((jobs.len(), job.priority()), (2, proto::ScrapingJobPriority::High));
        assert_eq!(job.labels["team"], "sales");
        let kinds: Vec<_> = parameters.listing_types().collect();
        assert_eq!(kinds, [proto::ListingType::Sold, proto::ListingType::Pending]);
        assert_eq!(parameters.request_delay.unwrap().nanos, 500_000_000);
        assert_eq!(parameters.radius, Some(5.0));
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_place() {
        let check = |text: &str, expected: &str| {
            let said = read_text(text).unwrap_err();
            assert!(said.contains(expected), "{text}: {said}");
        };
        check("name: x", "jobs.yaml: scheduled_job_id is missing");
        check("status: paused", "field status cannot be set; these can: scheduled_job_id");
        check("- a", "is no object");
        check("scheduled_job_id: a\nparameters: {locatons: [x]}", "locatons");
        check("scheduled_job_id: a\npriority: urgent", "URGENT");
        check("a: [", "jobs.yaml: ");
        check(&format!("{GOOD}---{GOOD}"), "document 2: sold is in ");
        assert!(read(&["/nowhere.yaml".to_owned()]).unwrap_err().contains("/nowhere.yaml"));
    }
}
