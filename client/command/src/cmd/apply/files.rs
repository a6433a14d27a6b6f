//! Scheduled jobs in files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use windrow_client::proto::ScheduledJob;

use crate::document::{self, Document};
use crate::failure::Failure;
use crate::output::warn;

/// Far more than thousands of jobs need.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// A job and the file that describes it.
#[derive(Debug)]
pub(super) struct DesiredJob {
    document: Document,
    file: String,
}

/// What files have.
#[derive(Debug)]
pub(super) struct Desired {
    /// The jobs of the documents without errors.
    pub(super) jobs: Vec<DesiredJob>,
    /// Errors of the other documents, one per line.
    pub(super) errors: Vec<String>,
}

/// The jobs of all files and all errors in them.
pub(super) fn read(names: &[String]) -> Result<Desired, Failure> {
    let mut files = Vec::new();
    for name in names {
        files.extend(texts(name).map_err(Failure::Refused)?);
    }
    let (mut jobs, mut errors) = (Vec::<DesiredJob>::new(), Vec::new());
    for (file, text) in files {
        let (documents, faults) = document::read(&text)?;
        if documents.is_empty() && faults.is_empty() {
            warn(Some(&file), &["no scheduled job in this file".to_owned()]);
        }
        errors.extend(faults.iter().map(|fault| format!("{file}:{fault}")));
        jobs.extend(
            documents.into_iter().map(|document| DesiredJob { document, file: file.clone() }),
        );
    }
    errors.extend(repeated(&jobs));
    if jobs.is_empty() && errors.is_empty() {
        errors.push(format!("{}: no scheduled job found", names.join(", ")));
    }
    Ok(Desired { jobs, errors })
}

/// The error that lists what is wrong with files, one per line.
pub(super) fn refused(errors: &[String]) -> Failure {
    Failure::Refused(format!("nothing was changed\n  {}", errors.join("\n  ")))
}

impl DesiredJob {
    pub(super) fn job(&self) -> &ScheduledJob {
        &self.document.job
    }

    /// File, line and column of a field, or of what contains it.
    pub(super) fn place(&self, path: &str) -> String {
        format!("{}:{}", self.file, self.document.place(path))
    }
}

fn repeated(jobs: &[DesiredJob]) -> Vec<String> {
    let mut first: BTreeMap<&str, &DesiredJob> = BTreeMap::new();
    let mut errors = Vec::new();
    for desired in jobs {
        let id = desired.job().scheduled_job_id.as_str();
        let place = |desired: &DesiredJob| desired.place("scheduled_job_id");
        match first.get(id) {
            Some(first) => {
                errors.push(format!("{}: {id} is already in {}", place(desired), place(first)));
            }
            None => drop(first.insert(id, desired)),
        }
    }
    errors
}

/// Names and contents of a file, of all files in a directory, or of stdin.
fn texts(name: &str) -> Result<Vec<(String, String)>, String> {
    if name == "-" {
        return Ok(vec![("stdin".to_owned(), text("stdin", io::stdin())?)]);
    }
    let path = Path::new(name);
    let paths = if path.is_dir() { documents_in(path)? } else { vec![path.to_owned()] };
    let read = |path: PathBuf| {
        let name = path.display().to_string();
        let file = File::open(&path).map_err(|error| format!("{name}: {error}"))?;
        let text = text(&name, file)?;
        Ok((name, text))
    };
    paths.into_iter().map(read).collect()
}

fn documents_in(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let name = directory.display();
    let failed = |error| format!("{name}: {error}");
    let entries: Result<Vec<_>, _> = fs::read_dir(directory).map_err(failed)?.collect();
    let mut paths: Vec<PathBuf> = entries.map_err(failed)?.into_iter().map(|e| e.path()).collect();
    paths.retain(|path| is_document(path));
    paths.sort();
    if paths.is_empty() {
        return Err(format!("{name}: no .yaml, .yml or .json file in this directory"));
    }
    Ok(paths)
}

/// Editors keep their own files under names that start with a dot.
fn is_document(path: &Path) -> bool {
    let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    !is_hidden && extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

fn text(name: &str, from: impl Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = from.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    let read = read.map_err(|error| format!("{name}: {error}"))?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(format!("{name}: larger than {} MiB", MAX_BYTES / 1024 / 1024));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..valid).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        format!("{name}:{line}: not UTF-8; save the file in this encoding")
    })
}
