//! Values and documents that are read.

use windrow_client::proto::{ListingType, ScrapingJobPriority};

use super::*;

#[test]
fn a_document_is_a_job() {
    let job = job("
scheduled_job_id: sold
name: Sold
cron_expression: '0 2 * * *'
priority: high
labels: {team: sales}
jitter: 5m
policy: {attempt_timeout: 1h 30m, backoff_factor: 1.5}
parameters:
  locations: [\"46201\"]
  listing_types: [sold, LISTING_TYPE_PENDING]
  request_delay: 0.5s
  radius: 5
  full_scrape: on
");
    let parameters = job.parameters.as_ref().unwrap();
    assert_eq!((job.priority(), job.labels["team"].as_str()), (ScrapingJobPriority::High, "sales"));
    let kinds: Vec<_> = parameters.listing_types().collect();
    assert_eq!(kinds, [ListingType::Sold, ListingType::Pending]);
    assert_eq!(parameters.request_delay.unwrap().nanos, 500_000_000);
    assert_eq!((parameters.radius, parameters.full_scrape), (Some(5.0), Some(true)));
    assert_eq!(job.jitter.unwrap().seconds, 300);
    assert_eq!(job.policy.unwrap().attempt_timeout.unwrap().seconds, 5400);
}

#[test]
fn text_stays_as_it_was_written() {
    for text in [
        "46220",
        "01234",
        "0x10",
        "1e3",
        "1_000",
        "1.10",
        "on",
        "No",
        "true",
        "2026-12-01",
        "12:30",
        ".inf",
        "0o17",
        "=",
        "<<",
        "Köln",
        "O'Fallon, IL",
    ] {
        let read = job(&format!(
            "{SOLD}parameters:\n  locations:\n    - {text}\nlabels: {{x: \"{text}\"}}"
        ));
        assert_eq!(read.parameters.unwrap().locations, [text]);
        assert_eq!(read.labels["x"], text);
    }
    let flow =
        job(&format!("{SOLD}parameters: {{locations: [46220, 'null', \"~\", !!str null, IN]}}"));
    assert_eq!(flow.parameters.unwrap().locations, ["46220", "null", "~", "null", "IN"]);
}

#[test]
fn nothing_is_the_default() {
    for text in [
        "timezone:",
        "priority: ~",
        "labels: null",
        "parameters:\n",
        "policy: {}",
        "parameters: {radius: }",
    ] {
        let read = job(&format!("{SOLD}{text}"));
        assert!(read.timezone.is_empty() && read.labels.is_empty(), "{text}");
        assert_eq!(read.parameters.unwrap_or_default().radius, None);
    }
}

#[test]
fn a_text_may_have_documents_lists_json_and_nothing() {
    let count = |text: &str| {
        assert_eq!(faults(text), [""; 0], "{text}");
        read(text).unwrap().0.len()
    };
    assert_eq!(count(""), 0);
    assert_eq!(count("# nothing\n---\n---\n"), 0);
    assert_eq!(count(&format!("\u{feff}---\r\n{SOLD}---\n# end\n")), 1);
    assert_eq!(count(&format!("{SOLD}---\n{SOLD}...\n")), 2);
    assert_eq!(count("[{\"scheduled_job_id\": \"a\"},\n\t{\"scheduled_job_id\": \"b\"}]"), 2);
    let json =
        job("{\n\t\"scheduled_job_id\": \"a\",\n\t\"name\": \"\\ud83c\\udfe0 \\/ \\u0041\"\n}");
    assert_eq!(json.name, "🏠 / A");
    assert_eq!(
        count(
            "{\"scheduled_job_id\": \"a\"}\n{\"scheduled_job_id\":\n \"b\"} {\"scheduled_job_id\": \"c\"}\n"
        ),
        3
    );
}

#[test]
fn jobs_share_settings_by_anchors_and_merge_keys() {
    let text = "- &base\n  scheduled_job_id: a\n  timezone: America/Denver\n  labels: {team: sales}\n\
                - <<: *base\n  scheduled_job_id: b\n";
    let (documents, faults) = read(text).unwrap();
    assert_eq!(faults, []);
    let jobs: Vec<_> = documents.iter().map(|it| &it.job).collect();
    assert_eq!((jobs[0].scheduled_job_id.as_str(), jobs[1].scheduled_job_id.as_str()), ("a", "b"));
    assert_eq!(
        (jobs[0].timezone.as_str(), &jobs[0].labels),
        (jobs[1].timezone.as_str(), &jobs[1].labels)
    );
}

#[test]
fn a_place_is_that_of_the_field_or_of_what_contains_it() {
    let text = format!(
        "\n---\n{SOLD}labels:\n  team: sales\nparameters:\n  locations:\n    - a\n    - b\n"
    );
    let (documents, _) = read(&text).unwrap();
    let place = |path: &str| documents[0].place(path).to_string();
    assert_eq!(place("parameters.locations[1]"), "11:7");
    assert_eq!(place("parameters.locations[7]"), place("parameters.locations"));
    assert_eq!(place("parameters.radius"), "9:3");
    assert_eq!(place("labels.team"), "7:3");
    assert_eq!((place("timezone"), place("")), ("3:1".to_owned(), "3:1".to_owned()));
}
