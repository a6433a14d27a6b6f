//! Unknown field names: the field that was probably meant.

use prost_reflect::MessageDescriptor;
use windrow_client::proto::ScheduledJob;

use super::fields::{joined, nested, settable};
use crate::json::descriptor;
use crate::render::job_settings;

pub(super) const OUTPUT_ONLY: &str = "is shown by the server and cannot be set; leave it out. `windrow jobs export` \
     writes jobs without such fields, and `windrow jobs pause` and `resume` change the status";

/// Names that similarity does not find, and their fields.
const SYNONYMS: [(&str, &str); 7] = [
    ("id", "scheduled_job_id"),
    ("job_id", "scheduled_job_id"),
    ("schedule", "cron_expression"),
    ("crontab", "cron_expression"),
    ("every", "cron_expression"),
    ("zip_codes", "parameters.locations"),
    ("retries", "policy.max_attempts"),
];
/// Names of responses, which have jobs in them.
const RESPONSES: [&str; 3] = ["scheduled_job", "scheduled_jobs", "job_runs"];
/// Similarity from which a name is suggested, out of 1.
const SIMILAR: f64 = 0.7;

/// What to write instead of the unknown field `path`, which ends with `name`.
pub(super) fn unknown(parent: &MessageDescriptor, path: &str, name: &str) -> String {
    if RESPONSES.contains(&path) {
        return "is part of a response; `windrow jobs export` writes jobs as apply reads them"
            .to_owned();
    }
    match meant(parent, path, name) {
        Some(meant) => format!("unknown field; did you mean {meant}?"),
        None => format!("unknown field; known fields: {}", known(parent)),
    }
}

pub(super) fn known(descriptor: &MessageDescriptor) -> String {
    settable(descriptor).iter().map(|field| field.name().to_owned()).collect::<Vec<_>>().join(", ")
}

/// The field of the same object, or the path of a field elsewhere.
fn meant(parent: &MessageDescriptor, path: &str, name: &str) -> Option<String> {
    let word = snake_case(name);
    let paths = all_paths();
    let last = |path: &String| path.rsplit('.').next().unwrap_or_default().to_owned();
    let synonym = SYNONYMS.iter().find(|(synonym, _)| *synonym == word);
    let settings = job_settings(&ScheduledJob::default());
    let flag = settings.iter().find(|it| it.flag_name().replace('-', "_") == word);
    let exact = synonym.map(|(_, path)| (*path).to_owned());
    let exact = exact.or_else(|| flag.map(|it| it.path.to_owned()));
    let exact = exact.or_else(|| paths.iter().find(|path| last(path) == word).cloned());
    let here = path.strip_suffix(name).unwrap_or_default();
    let found = exact.or_else(|| {
        let siblings =
            settable(parent).iter().map(|field| format!("{here}{}", field.name())).collect();
        nearest(siblings, &word).or_else(|| nearest(paths, &word))
    })?;
    // A field of the same object needs no path.
    let local = found.strip_prefix(here).filter(|local| !local.contains('.'));
    Some(local.map_or(found.clone(), str::to_owned))
}

fn nearest(paths: Vec<String>, word: &str) -> Option<String> {
    let likeness = |path: &String| {
        let last = path.rsplit('.').next().unwrap_or_default();
        strsim::normalized_damerau_levenshtein(last, word).max(prefix_likeness(last, word))
    };
    let scored = paths.into_iter().map(|path| (likeness(&path), path));
    let similar = scored.filter(|(score, _)| *score >= SIMILAR);
    similar.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, path)| path)
}

/// 0.7 if one name starts with the other, such as `timeout` or `max_concurrent`.
fn prefix_likeness(one: &str, other: &str) -> f64 {
    let is_start = one.starts_with(other) || other.starts_with(one);
    if is_start && one.len().min(other.len()) >= 3 { SIMILAR } else { 0.0 }
}

fn all_paths() -> Vec<String> {
    let mut paths = Vec::new();
    if let Ok(descriptor) = descriptor::<ScheduledJob>() {
        add_paths(&descriptor, "", &mut paths);
    }
    paths
}

fn add_paths(descriptor: &MessageDescriptor, parent: &str, paths: &mut Vec<String>) {
    for field in settable(descriptor) {
        let path = joined(parent, field.name());
        match nested(&field) {
            Some(inner) => add_paths(&inner, &path, paths),
            None => paths.push(path),
        }
    }
}

/// `cronExpression` and `cron-expression` as `cron_expression`.
fn snake_case(name: &str) -> String {
    let mut word = String::new();
    for c in name.trim().chars() {
        if c.is_uppercase() && !word.is_empty() && !word.ends_with('_') {
            word.push('_');
        }
        word.extend(c.to_lowercase());
    }
    word.replace(['-', ' '], "_")
}
