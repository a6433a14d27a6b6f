use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::*;
use crate::domain::id::ScheduledJobId;
use crate::domain::parameters::ListingType;
use crate::domain::run::{Counts, Origin, Priority, Run, Status as RunStatus};
use crate::domain::scheduled_job::Status;

mod bounds;
mod plan;

fn defaults() -> Defaults {
    Defaults { source: "mls".to_owned(), now: time("2025-02-01T00:00:00Z") }
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn id(text: &str) -> ScheduledJobId {
    ScheduledJobId::parse(text).unwrap()
}

fn parsed(document: &Value) -> ParsedDocument {
    read(document.clone(), &defaults()).unwrap()
}

/// The fields of `changes` over those of `document`.
fn with(mut document: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("no object") };
    document.as_object_mut().unwrap().extend(changes);
    document
}

fn job_document() -> Value {
    json!({
        "_id": { "$oid": "65a1" },
        "scheduled_job_id": "sold_daily_indy",
        "name": "Daily Sold Properties - Indianapolis",
        "status": "active",
        "cron_expression": "0 2 * * *",
        "locations": ["Indianapolis, IN"],
        "listing_type": "sold",
        "run_count": 15,
        "last_run_at": "2025-01-13T02:00:00Z",
        "last_run_status": "completed",
        "last_run_job_id": "scheduled_sold_daily_indy_1736830800_def456",
        "next_run_at": "2025-01-14T02:00:00Z"
    })
}

fn run_document() -> Value {
    json!({
        "job_id": "triggered_sold_daily_indy_1736841234_abc123",
        "scheduled_job_id": "sold_daily_indy",
        "priority": "immediate",
        "status": "completed",
        "locations": ["Indianapolis, IN"],
        "listing_type": "sold",
        "created_at": "2025-01-13T15:30:00Z",
        "started_at": "2025-01-13T15:30:01Z",
        "completed_at": "2025-01-13T15:32:45Z",
        "properties_scraped": 120,
        "properties_saved": 95
    })
}

fn job(changes: Value) -> (LegacyJob, Vec<String>) {
    let ParsedDocument { job, notes, .. } = parsed(&with(job_document(), changes));
    (job.unwrap(), notes)
}

fn has_no_ticks(job: &LegacyJob) -> bool {
    job.status == Status::Inactive && job.schedule.next_after(defaults().now).is_none()
}

fn run(changes: Value) -> (Run, Vec<String>) {
    let ParsedDocument { run, notes, .. } = parsed(&with(run_document(), changes));
    let jobs = BTreeSet::from([id("sold_daily_indy")]);
    (Plan::link(run.unwrap(), &jobs), notes)
}

#[test]
fn the_seeds_documents_need_no_repair() {
    let (job, notes) = job(json!({}));
    assert_eq!(notes, [""; 0]);
    assert_eq!(
        (job.id.as_str(), job.status, job.run_count),
        ("sold_daily_indy", Status::Active, Some(15))
    );
    assert_eq!(job.last_run_at, Some(time("2025-01-13T02:00:00Z")));
    assert_eq!(job.parameters.listing_types, [ListingType::Sold]);
    let (run, notes) = run(json!({}));
    assert_eq!(notes, [""; 0]);
    assert_eq!((run.spec.origin, run.spec.priority), (Origin::Triggered, Priority::Immediate));
    assert_eq!(run.spec.scheduled_job_id, Some(id("sold_daily_indy")));
    assert_eq!(
        run.state.counts,
        Counts { scraped: 120, saved: 95, skipped: 25, ..Counts::default() }
    );
    assert_eq!(run.state.completed_at, Some(time("2025-01-13T15:32:45Z")));
}

#[test]
fn times_come_in_many_forms() {
    let expected = time("2025-01-13T15:30:00Z");
    for form in [
        json!("2025-01-13T15:30:00Z"),
        json!("2025-01-13T15:30:00"),
        json!("2025-01-13 15:30:00.000"),
        json!("2025-01-13T16:30:00+01:00"),
        json!("2025-01-13T15:30:00.000+0000"),
        json!({ "$date": "2025-01-13T15:30:00Z" }),
        json!({ "$date": { "$numberLong": "1736782200000" } }),
        json!({ "$date": 1_736_782_200_000_i64 }),
        json!({ "$date": { "$numberLong": 1_736_782_200_000_i64 } }),
        json!({ "$timestamp": { "t": 1_736_782_200, "i": 1 } }),
        json!(1_736_782_200),
        json!(1_736_782_200_000.0),
    ] {
        let (run, notes) = run(json!({ "created_at": form }));
        assert_eq!((run.spec.created_at, notes.as_slice()), (expected, [].as_slice()), "{form}");
    }
}

#[test]
fn numbers_come_in_many_forms() {
    for form in [
        json!(95),
        json!(95.0),
        json!("95"),
        json!({ "$numberInt": "95" }),
        json!({ "$numberDouble": "95.0" }),
        json!({ "$numberLong": "95" }),
        json!({ "$numberDecimal": "9.5E+1" }),
    ] {
        let (run, notes) = run(json!({ "properties_saved": form }));
        assert_eq!((run.state.counts.saved, notes.len()), (95, 0), "{form}");
    }
    let (run, notes) = run(json!({ "properties_saved": 200, "properties_scraped": -1 }));
    assert_eq!(
        (run.state.counts.scraped, run.state.counts.saved, notes.len()),
        (200, 200, 2),
        "{notes:?}"
    );
}

#[test]
fn missing_fields_are_derived_from_the_others() {
    let nothing = json!({
        "created_at": null, "started_at": null, "completed_at": null, "priority": null,
        "properties_scraped": null, "properties_saved": null
    });
    let (bare, notes) = run(nothing);
    assert_eq!(bare.spec.created_at, DateTime::from_timestamp(1_736_841_234, 0).unwrap());
    assert_eq!(bare.state.completed_at, Some(bare.spec.created_at));
    assert_eq!(
        (bare.state.started_at, bare.state.attempt, bare.spec.priority),
        (None, 0, Priority::Normal)
    );
    assert_eq!(notes.len(), 2, "{notes:?}");
    let (run, notes) = run(json!({ "completed_at": "2025-01-13T15:00:00Z" }));
    assert_eq!((run.state.completed_at, notes.len()), (run.state.started_at, 1));
}

#[test]
fn an_unfinished_run_is_imported_as_failed() {
    for word in ["pending", "running"] {
        let (run, notes) = run(json!({ "status": word, "completed_at": null }));
        assert_eq!((run.state.status, notes.len()), (RunStatus::Failed, 1));
        assert_eq!(run.state.error_message, "run had not ended at the time of the export");
        assert_eq!(run.state.progress.completed_locations(), 0);
        assert_eq!(run.remaining_locations(), ["Indianapolis, IN"]);
    }
    let (run, notes) = run(json!({ "status": "Canceled" }));
    assert_eq!(
        (run.state.status, run.state.cancel_requested_at, notes.len()),
        (RunStatus::Cancelled, run.state.completed_at, 0)
    );
}

#[test]
fn a_retry_of_an_imported_run_covers_the_locations_that_were_not_completed() {
    let check = |changes: Value, completed: i32, remaining: &[&str]| {
        let (run, _) = run(with(json!({ "locations": ["a", "b", "c"] }), changes.clone()));
        assert_eq!(run.state.progress.completed_locations(), completed, "{changes}");
        assert_eq!(run.remaining_locations(), remaining, "{changes}");
    };
    check(json!({ "status": "completed" }), 3, &[]);
    check(json!({ "status": "failed" }), 0, &["a", "b", "c"]);
    check(json!({ "status": "cancelled" }), 0, &["a", "b", "c"]);
    check(json!({ "status": "running", "completed_locations": 2 }), 2, &["c"]);
    check(json!({ "status": "completed", "failed_locations": ["a"] }), 3, &["a"]);
    check(json!({ "status": "failed", "failed_locations": ["b"] }), 1, &["a", "b", "c"]);
    let two_of_three = json!({ "completed_locations": 2, "failed_locations": ["a"] });
    check(with(two_of_three, json!({ "status": "failed" })), 2, &["a", "c"]);
}

#[test]
fn invalid_fields_of_a_job_are_repaired_and_reported() {
    let check = |changes: Value, note: &str, holds: fn(&LegacyJob) -> bool| {
        let (job, notes) = job(changes.clone());
        assert!(holds(&job), "{changes}: {job:?}");
        assert!(notes.len() == 1 && notes[0].contains(note), "{changes}: {notes:?}");
    };
    check(json!({ "cron_expression": "0 0 2 * * *" }), "expected 5 fields, found 6", |job| {
        has_no_ticks(job) && job.schedule.cron_expression() == "0 0 2 * * *"
    });
    check(json!({ "cron_expression": null }), "an expression of 5 fields is required", |job| {
        has_no_ticks(job) && job.schedule.cron_expression().is_empty()
    });
    check(json!({ "timezone": "Mars/Olympus" }), "as inactive, without ticks", |job| {
        has_no_ticks(job) && job.schedule.timezone() == "Mars/Olympus"
    });
    check(json!({ "timezone": "Eastern Standard Time" }), "to 'America/New_York'", |job| {
        job.status == Status::Active && job.schedule.timezone() == "America/New_York"
    });
    check(json!({ "timezone": "america/new_york" }), "to 'America/New_York'", |job| {
        job.status == Status::Active && job.schedule.timezone() == "America/New_York"
    });
    check(json!({ "timezone": "-05:00" }), "to 'Etc/GMT+5'", |job| {
        job.status == Status::Active && job.schedule.timezone() == "Etc/GMT+5"
    });
    check(json!({ "status": "on" }), "status 'on' is unknown", |job| {
        job.status == Status::Inactive
    });
    check(json!({ "name": null }), "using the id as the name", |job| job.name == "sold_daily_indy");
    check(json!({ "scheduled_job_id": "Sold Daily" }), "replaced by 'legacy_sold_daily_", |job| {
        job.id.as_str().starts_with("legacy_sold_daily_")
    });
    check(json!({ "past_days": 0 }), "past_days 0 is not between 1 and 3650", |job| {
        job.parameters.past_days.is_none()
    });
    check(json!({ "limit": 20_000 }), "limit 20000", |job| job.parameters.limit.is_none());
    check(json!({ "listing_type": "barter" }), "'barter' is unknown", |job| {
        job.parameters.listing_types.is_empty()
    });
    check(json!({ "locations": ["a", "a"] }), "location 'a' is listed twice", |job| {
        job.parameters.locations == ["a"]
    });
    check(json!({ "priority": "urgent" }), "priority 'urgent' is unknown", |job| {
        job.priority == Priority::Normal
    });
    let (both, notes) =
        job(json!({ "listing_types": ["for_sale", "sold"], "locations": "Carmel, IN" }));
    assert_eq!(both.parameters.listing_types, [ListingType::ForSale, ListingType::Sold]);
    assert_eq!(
        (both.parameters.locations.as_slice(), notes.len()),
        (["Carmel, IN".to_owned()].as_slice(), 0)
    );
}

#[test]
fn a_rejected_document_has_a_reason() {
    let check = |line: &str, expected: &str| {
        let document = serde_json::from_str(line).unwrap();
        let reason = read(document, &defaults()).unwrap_err();
        assert!(reason.contains(expected), "{line}: {reason}");
    };
    check("[1]", "not a JSON object");
    check("{\"name\": \"x\"}", "neither a job_id nor a scheduled_job_id");
    check(
        "{\"job_id\": \"a b\", \"status\": \"failed\"}",
        "job_id 'a b' must consist of printable",
    );
    check("{\"job_id\": \"a\"}", "status is missing");
    check("{\"job_id\": \"a\", \"status\": \"done\"}", "status 'done' is unknown");
    check("{\"job_id\": \"a\", \"status\": \"failed\"}", "has no timestamp");
}

#[test]
fn unknown_fields_are_reported() {
    let document = parsed(&with(run_document(), json!({ "colour": 1, "owner": null })));
    assert_eq!(document.unknown_fields, ["colour"]);
}
