//! Values at and beyond the limits, and what is kept of them.

use super::*;

#[test]
fn times_within_a_date_are_milliseconds() {
    for (milliseconds, expected) in [
        (json!({ "$numberLong": "86400000" }), "1970-01-02T00:00:00Z"),
        (json!(86_400_000), "1970-01-02T00:00:00Z"),
        (json!({ "$numberLong": "-1000" }), "1969-12-31T23:59:59Z"),
        (json!({ "$numberLong": "1500" }), "1970-01-01T00:00:01.5Z"),
    ] {
        let changes = json!({ "created_at": { "$date": milliseconds }, "scheduled_at": null });
        let (run, notes) = run(changes);
        assert_eq!((run.spec.created_at, notes.len()), (time(expected), 0), "{expected}");
    }
}

#[test]
fn a_time_that_cannot_be_stored_is_replaced_with_a_note() {
    for text in [
        json!("9999-12-31T23:59:59-05:00"),
        json!("0000-01-01T00:00:00Z"),
        json!("+262142-12-31T23:59:59Z"),
        json!({ "$date": { "$numberLong": "9223372036854775807" } }),
        json!({ "$date": { "$numberLong": "-62135596800001" } }),
        json!({ "$date": { "$numberDouble": "NaN" } }),
        json!(1e300),
    ] {
        for field in ["created_at", "started_at", "completed_at"] {
            let (run, notes) = run(json!({ field: text }));
            assert!(notes[0].starts_with(&format!("{field} ")), "{text}: {notes:?}");
            assert!(run.state.completed_at < Some(time("2025-02-01T00:00:00Z")), "{text}");
        }
    }
}

#[test]
fn counts_are_bounded() {
    for count in [
        json!(2_147_483_648_i64),
        json!(100_000_000),
        json!(1e300),
        json!({ "$numberLong": "9223372036854775807" }),
        json!({ "$numberDecimal": "Infinity" }),
        json!({ "$numberDouble": "NaN" }),
    ] {
        let (run, notes) = run(json!({ "total_locations": count, "completed_locations": count }));
        assert_eq!((run.state.progress.total_locations, notes.len()), (1, 2), "{count}: {notes:?}");
    }
    let (many, notes) = job(json!({ "run_count": 9_223_372_036_854_775_807_i64 }));
    assert_eq!((many.run_count, notes.len()), (None, 1));
    let (many, notes) = job(json!({ "run_count": 1_000_000_000_000_i64 }));
    assert_eq!((many.run_count, notes.len()), (Some(1_000_000_000_000), 0));
}

#[test]
fn long_texts_and_lists_are_bounded() {
    let locations: Vec<String> = (0..200_000).map(|n| format!("City {n}")).collect();
    let failed: Vec<Value> = locations.iter().map(|name| json!({ "location": name })).collect();
    let message = "x".repeat(1_000_000);
    let (run, notes) = run(json!({
        "locations": locations, "failed_locations": failed, "error_message": message,
        "priority": message, "listing_types": vec!["barter"; 10_000]
    }));
    assert_eq!(run.spec.parameters.locations.len(), 1_000);
    assert_eq!(run.state.progress.failed.len(), 1_000);
    assert_eq!(run.state.error_message.len(), 2_000);
    assert!(notes.len() == 21 && notes.iter().all(|note| note.len() < 2_000), "{}", notes.len());
    let id = parsed_error(json!({ "job_id": message }));
    assert!(id.len() < 2_000, "{id}");
}

fn parsed_error(changes: Value) -> String {
    read(with(run_document(), changes), &defaults()).unwrap_err()
}

#[test]
fn a_removed_character_has_a_note() {
    let (job, notes) = job(json!({ "name": "a\0b" }));
    assert_eq!(job.name, "ab");
    assert!(notes.len() == 1 && notes[0].contains("name contains U+0000"), "{notes:?}");
}

#[test]
fn counters_and_the_description_are_kept() {
    let (one, notes) = run(json!({
        "properties_scraped": 120, "properties_saved": 95, "properties_inserted": 60,
        "properties_updated": 35, "properties_skipped": 20, "properties_duplicate": 5
    }));
    let expected = Counts { scraped: 120, saved: 95, updated: 35, skipped: 20, duplicate: 5 };
    assert_eq!((one.state.counts, notes.as_slice()), (expected, [].as_slice()));
    let (one, notes) = run(json!({ "properties_scraped": 100, "properties_skipped": 50 }));
    let expected = Counts { scraped: 145, saved: 95, skipped: 50, ..Counts::default() };
    assert_eq!((one.state.counts, notes.len()), (expected, 1), "{notes:?}");
    let (one, notes) = job(json!({ "description": "Sold houses" }));
    assert_eq!((one.labels["description"].as_str(), notes.len()), ("Sold houses", 0));
    let (one, notes) = job(json!({ "description": "long ".repeat(20) }));
    assert!(one.labels["description"].ends_with('…') && notes.len() == 1, "{notes:?}");
}

#[test]
fn a_uuid_becomes_its_text() {
    let text = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    let base64 = "a6e4EJ2tEdGAtADAT9QwyA==";
    for form in [
        json!(text),
        json!({ "$uuid": text }),
        json!({ "$binary": { "base64": base64, "subType": "04" } }),
        json!({ "$binary": base64, "$type": "04" }),
    ] {
        let (run, notes) = run(json!({ "job_id": form }));
        assert_eq!((run.spec.id.as_str(), notes.len()), (text, 0), "{form}");
    }
}
