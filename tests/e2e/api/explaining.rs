//! Explaining why a job did or did not run, and backfills of ticks without a run.

use windrow_client::{Code, proto};

use crate::support::{Windrow, job, program};
use proto::BackfillOutcome as Outcome;

fn daily() -> proto::ScheduledJob {
    proto::ScheduledJob { cron_expression: "0 0 * * *".to_owned(), ..job("daily") }
}

async fn explain(windrow: &Windrow, at: &str) -> proto::ExplainTickResponse {
    let at: prost_types::Timestamp = at.parse().unwrap();
    windrow.client.explain_tick("daily", at).await.unwrap()
}

fn range(from: &str, to: &str) -> proto::BackfillScheduledJobRequest {
    proto::BackfillScheduledJobRequest {
        scheduled_job_id: "daily".to_owned(),
        start_time: Some(from.parse().unwrap()),
        end_time: Some(to.parse().unwrap()),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_instant_is_explained_with_the_settings_valid_then() {
    let windrow = Windrow::start().await;
    windrow.create_as(daily()).await.unwrap();

    let before = explain(&windrow, "2020-01-01T00:00:00Z").await;
    let coming = explain(&windrow, "2099-01-01T00:00:00Z").await;
    let between = explain(&windrow, "2099-01-01T00:00:01Z").await;

    assert_eq!(before.state(), proto::TickState::BeforeCreation);
    assert_eq!(coming.state(), proto::TickState::Future);
    assert_eq!(
        (coming.explanation.as_str(), coming.depends_on.len()),
        ("A run will be created.", 3)
    );
    let revision = coming.revision.unwrap();
    assert_eq!((revision.number, revision.change()), (1, proto::RevisionChange::Created));
    assert_eq!(between.state(), proto::TickState::NotATick);
    assert_eq!(between.previous_tick_at.unwrap().to_string(), "2099-01-01T00:00:00Z");
    assert_eq!(between.next_tick_at.unwrap().to_string(), "2099-01-02T00:00:00Z");
    let shown = program::windrow(&windrow.address(), &["explain", "daily", "2099-01-01T00:00:00Z"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains("A run will be created.") && shown.contains("0 0 * * * (UTC)"),
        "{shown}"
    );
    let request = proto::ExplainTickRequest { scheduled_job_id: "daily".to_owned(), tick_at: None };
    let refused = windrow.client.raw().explain_tick(request).await.unwrap_err();
    assert_eq!(refused.field_violations()[0].field, "tick_at");
    windrow.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_backfill_creates_each_run_once() {
    let windrow = Windrow::start().await;
    windrow.create_as(daily()).await.unwrap();
    let (from, to) = ("2026-01-01T00:00:00Z", "2026-01-03T12:00:00Z");
    let backfill = |request| windrow.client.raw().backfill_scheduled_job(request);
    let outcomes = |answer: &proto::BackfillScheduledJobResponse| {
        answer.ticks.iter().map(proto::BackfilledTick::outcome).collect::<Vec<_>>()
    };

    let tried =
        backfill(proto::BackfillScheduledJobRequest { validate_only: true, ..range(from, to) });
    assert_eq!((tried.await.unwrap().created_count, windrow.get("daily").await.total_runs), (3, 0));
    let named =
        || proto::BackfillScheduledJobRequest { request_id: "one".to_owned(), ..range(from, to) };
    let made = backfill(named()).await.unwrap();
    let repeated = backfill(named()).await.unwrap();
    let other = backfill(range(from, to)).await.unwrap();
    let arguments = ["backfill", "daily", "--yes", "--from", from, "--to", "2026-01-04T00:00:00Z"];
    let by_command = program::windrow(&windrow.address(), &arguments);

    assert_eq!((made.clone(), outcomes(&made)), (repeated, vec![Outcome::Created; 3]));
    assert_eq!((other.created_count, outcomes(&other)), (0, vec![Outcome::RunExists; 3]));
    let said = String::from_utf8(by_command.stdout).unwrap();
    assert!(said.starts_with("Created 1 run. Undo: "), "{said}");
    for tick in made.ticks {
        let ended = windrow.end(&tick.job_id).await;
        assert_eq!(
            (ended.origin(), ended.tick_at),
            (proto::ScrapingJobOrigin::Backfill, tick.tick_at)
        );
    }
    windrow.stop().await;
}

#[tokio::test]
async fn an_invalid_backfill_is_rejected_with_its_field_and_creates_nothing() {
    let windrow = Windrow::start().await;
    windrow.create_as(daily()).await.unwrap();
    let check = async |request, field: &str| {
        let refused = windrow.client.raw().backfill_scheduled_job(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert_eq!(refused.field_violations()[0].field, field, "{refused}");
    };

    check(range("2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z"), "end_time").await;
    check(range("2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), "end_time").await;
    check(range("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"), "start_time").await;
    let endless = proto::BackfillScheduledJobRequest {
        end_time: None,
        ..range("2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z")
    };
    check(endless, "end_time").await;

    assert_eq!(windrow.get("daily").await.total_runs, 0);
    windrow.stop().await;
}
