//! The changes as text, JSON or ids.

use console::style;
use serde_json::{Value as Json, json};

use super::diff::Difference;
use super::plan::{Change, Plan, Step};
use crate::failure::Failure;
use crate::output::{Format, Output, line, yaml};
use crate::render::{clean, counted};

/// Why the report is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Occasion {
    DryRun,
    NothingToDo,
    Done,
}

/// The verb and the id, and below them the old and new values of the settings that differ.
pub(super) fn text(change: &Change) -> String {
    let title = format!("{} {}", change.step.verb(), clean(change.step.job_id()));
    let lines = change.differences.iter().flat_map(Difference::lines);
    let lines: Vec<_> = [style(title).bold().to_string()].into_iter().chain(lines).collect();
    lines.join("\n")
}

/// `3 changes, 1 of them a deletion`
pub(super) fn summary(plan: &Plan) -> String {
    let changes = counted(plan.changes.len(), "change", "changes");
    match ids(plan, "delete").len() {
        0 => changes,
        1 => format!("{changes}, 1 of them a deletion"),
        deletions => format!("{changes}, {deletions} of them deletions"),
    }
}

pub(super) fn report(output: Output, occasion: Occasion, plan: &Plan) -> Result<(), Failure> {
    let count = |verb: &str| ids(plan, verb).len();
    let title = match occasion {
        Occasion::DryRun => "Dry run",
        Occasion::NothingToDo => "Nothing to do",
        Occasion::Done => "Done",
    };
    match output.format {
        Format::Json => line(&object(occasion, plan).to_string())?,
        Format::Yaml => line(&yaml(&object(occasion, plan))?)?,
        Format::Quiet => plan.changes.iter().try_for_each(|it| line(it.step.job_id()))?,
        Format::Table => line(&format!(
            "{title}: {} created, {} restored, {} updated, {} deleted, {} unchanged",
            count("create"),
            count("restore"),
            count("update"),
            count("delete"),
            plan.unchanged.len(),
        ))?,
    }
    Ok(())
}

fn ids<'p>(plan: &'p Plan, verb: &str) -> Vec<&'p str> {
    let changes = plan.changes.iter().map(|change| &change.step);
    changes.filter(|step| step.verb() == verb).map(Step::job_id).collect()
}

fn object(occasion: Occasion, plan: &Plan) -> Json {
    let changes = |verb: &str| -> Vec<Json> {
        let changes = plan.changes.iter().filter(|change| change.step.verb() == verb);
        changes.map(change).collect()
    };
    json!({
        "dry_run": occasion == Occasion::DryRun,
        "created": changes("create"),
        "restored": changes("restore"),
        "updated": changes("update"),
        "deleted": changes("delete"),
        "unchanged": plan.unchanged,
    })
}

fn change(change: &Change) -> Json {
    let fields: Vec<_> = change.differences.iter().map(Difference::json).collect();
    json!({"scheduled_job_id": change.step.job_id(), "fields": fields})
}
