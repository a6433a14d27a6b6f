//! `windrow apply --prune`, and the differences that `apply` shows.

use serde_json::{Value as Json, json};

use super::apply::{JOBS, Try, said};
use crate::support::{Windrow, job};

/// The jobs of another team, of nobody, and one that a file of the team once had.
async fn create_others(windrow: &Windrow) {
    for (id, team) in [("old", "sales"), ("theirs", "rent"), ("nobodys", "")] {
        let labels = [("team".to_owned(), team.to_owned())].into_iter();
        let mut job = job(id);
        job.labels = labels.filter(|(_, team)| !team.is_empty()).collect();
        windrow.create_as(job).await.unwrap();
    }
}

async fn present(windrow: &Windrow) -> Vec<String> {
    let jobs = windrow.client.list_jobs().await.unwrap().scheduled_jobs;
    jobs.into_iter().map(|job| job.scheduled_job_id).collect()
}

#[tokio::test]
async fn pruning_deletes_only_what_is_selected_and_not_in_the_files() {
    let windrow = Windrow::start().await;
    let it = Try::new(&windrow);
    create_others(&windrow).await;
    let (sold, _) = JOBS.split_once("---").unwrap();
    let prune = ["--prune", "--selector", "team=sales"];

    let unlimited = said(&it.apply(sold, &["--yes", "--prune"]).await, 2);
    assert!(unlimited.contains("--prune needs --selector"), "{unlimited}");
    assert!(unlimited.contains("--selector team=sales"), "{unlimited}");
    let without = said(&it.apply(sold, &["--yes", "--selector", "team=sales"]).await, 2);
    assert!(without.contains("--selector is the limit of --prune"), "{without}");
    assert_eq!(present(&windrow).await, ["nobodys", "old", "theirs"]);

    let dry = said(&it.apply(sold, &[&prune[..], &["--dry-run"]].concat()).await, 0);
    assert!(dry.contains("delete old\n") && dry.contains("- cron_expression"), "{dry}");
    assert!(!dry.contains("delete theirs") && !dry.contains("delete nobodys"), "{dry}");
    let unasked = said(&it.apply(sold, &prune).await, 2);
    assert!(unasked.contains("pass --yes"), "{unasked}");
    assert_eq!(present(&windrow).await, ["nobodys", "old", "theirs"]);

    let pruned = said(&it.apply(sold, &[&prune[..], &["--yes"]].concat()).await, 0);
    assert!(pruned.contains("1 created, 0 restored, 0 updated, 1 deleted"), "{pruned}");
    assert_eq!(present(&windrow).await, ["nobodys", "sold", "theirs"]);
    windrow.stop().await;
}

#[tokio::test]
async fn a_file_with_a_job_outside_of_the_selection_is_refused() {
    let windrow = Windrow::start().await;
    let it = Try::new(&windrow);
    create_others(&windrow).await;
    for (selector, expected) in [
        ("team=sales", "jobs.yaml:14:1: labels: rent does not have the selected label team=sales"),
        ("team=rent", "jobs.yaml:7:9: labels: sold does not have the selected label team=rent"),
        ("team=sales,env=test", "labels: sold does not have the selected label env=test"),
    ] {
        let flags = ["--yes", "--prune", "--selector", selector];
        let refused = said(&it.apply(JOBS, &flags).await, 1);
        assert!(refused.contains(expected) && refused.contains("nothing was changed"), "{refused}");
    }
    for empty in ["", "---\n# nothing\n"] {
        let flags = ["--yes", "--prune", "--selector", "team=sales"];
        let refused = said(&it.apply(empty, &flags).await, 1);
        assert!(refused.contains("no scheduled job found"), "{refused}");
    }
    assert_eq!(present(&windrow).await, ["nobodys", "old", "theirs"]);
    windrow.stop().await;
}

#[tokio::test]
async fn a_deleted_job_comes_back_only_with_settings_that_are_right() {
    let windrow = Windrow::start().await;
    let it = Try::new(&windrow);
    said(&it.apply(JOBS, &["--yes"]).await, 0);
    windrow.client.delete_job("rent").await.unwrap();

    let wrong = JOBS.replace("@yearly", "61 * * * *").replace("past_days: 7", "past_days: 8");
    let refused = said(&it.apply(&wrong, &["--yes"]).await, 1);
    assert!(refused.contains("jobs.yaml:16:18: cron_expression: "), "{refused}");
    assert!(windrow.get_job("rent").await.deleted_at.is_some());
    assert_eq!(windrow.get_job("sold").await.parameters.unwrap().past_days, Some(7));

    let output = it.apply(JOBS, &["--yes"]).await;
    let back = said(&output, 0);
    assert!(back.contains("restore rent\n  + cron_expression: @yearly\n"), "{back}");
    assert!(!back.contains("\n  - ") && back.contains("1 restored"), "{back}");
    assert!(output.stderr.is_empty(), "{output:?}");
    windrow.client.pause_job("rent").await.unwrap();
    windrow.client.delete_job("rent").await.unwrap();
    let output = it.apply(JOBS, &["--yes"]).await;
    let hint = "rent comes back paused, as it was; activate it: windrow jobs resume rent\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), hint);
    assert!(windrow.get_job("rent").await.deleted_at.is_none());
    windrow.stop().await;
}

#[tokio::test]
async fn a_dry_run_shows_the_difference_to_programs_and_in_the_exit_code() {
    let windrow = Windrow::start().await;
    let it = Try::new(&windrow);
    create_others(&windrow).await;
    let (sold, _) = JOBS.split_once("---").unwrap();
    let rent = JOBS.replace("name: Rentals", "name: Rentals\nlabels: {team: sales}");
    said(&it.apply(&rent, &["--yes"]).await, 0);
    let flags =
        ["--dry-run", "--json", "--detailed-exit-code", "--prune", "--selector", "team=sales"];

    let changed = rent.replace("past_days: 7", "jitter: 1").replace("  jitter: 1\n", "");
    let changed = changed.replace("priority: high", "jitter: 90s\npriority: high");
    let output = it.apply(&changed, &flags).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let found: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["dry_run"], true);
    let expected = json!([{"scheduled_job_id": "sold", "fields": [
        {"path": "jitter", "old_value": null, "new_value": "90s"},
        {"path": "parameters.past_days", "old_value": 7, "new_value": null},
    ]}]);
    assert_eq!(found["updated"], expected);
    assert_eq!((&found["created"], &found["restored"]), (&json!([]), &json!([])));
    assert_eq!(found["unchanged"], json!(["rent"]));
    assert_eq!(found["deleted"][0]["scheduled_job_id"], "old");
    assert_eq!(found["deleted"][0]["fields"][1]["path"], "labels.team");

    let flags = ["--detailed-exit-code", "--yes"];
    said(&it.apply(&rent, &flags).await, 0);
    assert_eq!(it.apply(&changed, &flags).await.status.code(), Some(2));
    said(&it.apply(&changed, &flags).await, 0);
    assert_eq!(it.apply(sold, &["--detailed-exit-code"]).await.status.code(), Some(1));
    assert_eq!(it.apply(sold, &["--detailed-exit-code", "--no-flag"]).await.status.code(), Some(1));
    assert_eq!(it.apply(sold, &["--no-flag"]).await.status.code(), Some(2));
    windrow.stop().await;
}
