//! Documents that are written.

use windrow_client::proto::{CatchUpPolicy, ScheduledJobStatus, ScrapeParameters};

use super::*;

const TEXTS: [&str; 31] = [
    "",
    " ",
    " a",
    "a ",
    "null",
    "Null",
    "~",
    "on",
    "y",
    "1e3",
    "0x10",
    "01234",
    "1_000",
    "12:30",
    "2026-12-01",
    "a\nb",
    "a\n",
    "\n a",
    "a\r\nb",
    "\ta",
    "a: b",
    "a #b",
    "'\"",
    "\\n",
    "\u{0}",
    "\u{85}",
    "\u{2028}",
    "\u{feff}a",
    "🏠",
    "---",
    "- a",
];
/// Characters of random texts, most of them with a meaning in YAML.
const CHARACTERS: &str = "ab0 1.:,-_#'\"\\\n\t[]{}&*!|>%@`?=~<\u{a0}é🏠";

fn job_with(text: &str) -> ScheduledJob {
    ScheduledJob {
        scheduled_job_id: "x".to_owned(),
        name: text.to_owned(),
        labels: [("k".to_owned(), text.to_owned())].into(),
        parameters: Some(ScrapeParameters {
            locations: vec![text.to_owned(), "46220".to_owned(), text.to_owned()],
            source: Some(text.to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[track_caller]
fn check_text(text: &str) {
    let written = write(&job_with(text)).unwrap();
    assert_eq!(job(&written), job_with(text), "{text:?}\n{written}");
    let json = crate::json::text::line(&Settings::new(&job_with(text)).unwrap()).unwrap();
    assert_eq!(job(&json), job_with(text), "{text:?}\n{json}");
}

#[test]
fn every_text_comes_back() {
    for text in TEXTS {
        check_text(text);
    }
    let long = "long text ".repeat(20);
    check_text(&long);
    let characters: Vec<char> = CHARACTERS.chars().collect();
    // A small generator of random numbers, the same at each run.
    let mut state = 1_u32;
    for _ in 0..2000 {
        let mut text = String::new();
        for _ in 0..6 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let index = usize::try_from(state >> 16).unwrap() % characters.len();
            text.push(characters[index]);
        }
        check_text(&text);
    }
}

#[test]
fn defaults_are_left_out_and_state_is_a_comment() {
    let mut job = job_with("a");
    job.timezone = "UTC".to_owned();
    job.priority = windrow_client::proto::ScrapingJobPriority::Normal.into();
    job.catch_up = Some(CatchUpPolicy::default());
    job.run_count = 7;
    assert_eq!(write(&job).unwrap(), write(&job_with("a")).unwrap());
    let comment = |job: &ScheduledJob| write(job).unwrap().lines().nth(1).unwrap().to_owned();
    job.status = ScheduledJobStatus::Paused.into();
    job.pause_reason = "a\nscheduled_job_id: b".to_owned();
    job.paused_until = Some(prost_types::Timestamp::default());
    assert_eq!(
        comment(&job),
        "# paused until 1970-01-01T00:00:00Z: a\\nscheduled_job_id: b (apply does not pause or resume)"
    );
    job.status = ScheduledJobStatus::Inactive.into();
    assert_eq!(comment(&job), "# inactive (apply does not deactivate or resume)");
}

#[test]
fn days_are_whole_and_durations_come_back() {
    let check = |seconds: i64, expected: &str| {
        let mut written = job_with("a");
        written.jitter = Some(prost_types::Duration { seconds, nanos: 0 });
        let text = write(&written).unwrap();
        assert!(
            text.contains(&format!("jitter: {expected}\n"))
                || text.ends_with(&format!("jitter: {expected}")),
            "{text}"
        );
        assert_eq!(job(&text), written);
    };
    check(0, "0s");
    check(300, "5m");
    check(366 * 86_400, "366d");
    check(31 * 86_400 + 3600, "31d 1h");
}
