//! Which jobs and runs an export results in.

use super::*;

#[test]
fn a_recurring_job_is_a_scheduled_job_and_its_runs_are_linked() {
    let old = "recurring_1736000000_aa";
    let changes =
        json!({ "job_id": old, "scheduled_job_id": null, "cron_expression": "0 3 * * *" });
    let both = parsed(&with(run_document(), changes));
    let (job, own) = (both.job.unwrap(), both.run.unwrap());
    assert_eq!((job.id.as_str(), job.status), ("legacy_recurring_1736000000_aa", Status::Active));
    assert!(
        both.notes.iter().any(|note| note.contains("became the scheduled job")),
        "{:?}",
        both.notes
    );
    let changes = json!({
        "job_id": "recurring_1736100000_bb", "scheduled_job_id": null, "original_job_id": old
    });
    let later = parsed(&with(run_document(), changes)).run.unwrap();
    let mut plan = Plan::default();
    plan.add_run(&own);
    plan.add_run(&later);
    assert!(plan.add_job(job.clone()));
    assert!(!plan.add_job(job.clone()));
    let (jobs, rejected) = plan.jobs(&BTreeSet::new(), defaults().now);
    assert_eq!((jobs.len(), rejected.len()), (1, 0));
    assert_eq!(jobs[0].job.history.run_count, 2);
    let known = BTreeSet::from([job.id.clone()]);
    for run in [own, later] {
        let run = Plan::link(run, &known);
        assert_eq!(
            (run.spec.scheduled_job_id.clone(), run.spec.origin),
            (Some(job.id.clone()), Origin::Recurring)
        );
    }
}

#[test]
fn a_job_that_is_not_in_the_export_is_created_as_inactive() {
    let run = parsed(&run_document()).run.unwrap();
    let mut plan = Plan::default();
    plan.add_run(&run);
    let (jobs, rejected) = plan.clone().jobs(&BTreeSet::new(), defaults().now);
    assert_eq!((jobs.len(), rejected.len()), (1, 0));
    let job = &jobs[0].job;
    assert_eq!((job.gate.status, job.history.run_count), (Status::Inactive, 1));
    assert_eq!(job.settings.parameters.locations, ["Indianapolis, IN"]);
    assert_eq!(jobs[0].last_ended_at, Some(time("2025-01-13T15:32:45Z")));
    let known = BTreeSet::from([id("sold_daily_indy")]);
    assert!(plan.jobs(&known, defaults().now).0.is_empty(), "the database has it");
}

#[test]
fn the_history_matches_the_export() {
    let history = |changes: Value| {
        let mut plan = Plan::default();
        plan.add_job(job(changes).0);
        let run = parsed(&run_document()).run.unwrap();
        plan.add_run(&run);
        let (mut jobs, _) = plan.jobs(&BTreeSet::new(), defaults().now);
        let imported = jobs.pop().unwrap();
        let last = imported.job.history.last.map(|last| last.job_id.to_string());
        (imported.job.history.run_count, last, imported.notes.len())
    };
    let exported = Some("scheduled_sold_daily_indy_1736830800_def456".to_owned());
    let ran = Some("triggered_sold_daily_indy_1736841234_abc123".to_owned());
    assert_eq!(history(json!({})), (15, exported.clone(), 0));
    assert_eq!(history(json!({ "run_count": 15.0 })), (15, exported.clone(), 0));
    assert_eq!(history(json!({ "run_count": 0 })), (1, exported, 2));
    let nothing = json!({
        "run_count": null, "last_run_at": null, "last_run_status": null, "last_run_job_id": null
    });
    assert_eq!(history(nothing), (1, ran, 0));
}
