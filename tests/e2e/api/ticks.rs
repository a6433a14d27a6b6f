//! The tick ledger, and previews of the next ticks.

use windrow_client::{Code, Error, proto};

use crate::support::{Windrow, eventually, job};

async fn preview(
    windrow: &Windrow,
    request: proto::PreviewTicksRequest,
) -> Result<Vec<(String, String, proto::TickShift)>, Error> {
    let ticks = windrow.client.raw().preview_ticks(request).await?.ticks;
    let shown = |tick: proto::Tick| {
        (tick.tick_at.unwrap().to_string(), tick.local_time.clone(), tick.shift())
    };
    Ok(ticks.into_iter().map(shown).collect())
}

fn schedule(cron: &str, timezone: &str, after: &str, count: i32) -> proto::PreviewTicksRequest {
    proto::PreviewTicksRequest {
        cron_expression: cron.to_owned(),
        timezone: timezone.to_owned(),
        after: Some(after.parse().unwrap()),
        count,
        ..Default::default()
    }
}

#[tokio::test]
async fn a_preview_marks_ticks_that_a_clock_change_moves() {
    use proto::TickShift::{FoldFirst, GapMoved, None};
    let windrow = Windrow::start().await;
    let check = async |request, expected: &[(&str, &str, proto::TickShift)]| {
        let ticks = preview(&windrow, request).await.unwrap();
        let expected: Vec<_> = expected
            .iter()
            .map(|(tick, local, shift)| ((*tick).to_owned(), (*local).to_owned(), *shift))
            .collect();
        assert_eq!(ticks, expected);
    };

    // New York: clocks go from 2:00 to 3:00 on March 8, and from 2:00 back to 1:00 on November 1.
    check(
        schedule("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", 2),
        &[
            ("2026-03-08T07:00:00Z", "2026-03-08T02:30:00", GapMoved),
            ("2026-03-09T06:30:00Z", "2026-03-09T02:30:00", None),
        ],
    )
    .await;
    check(
        schedule("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2),
        &[
            ("2026-11-01T05:30:00Z", "2026-11-01T01:30:00", FoldFirst),
            ("2026-11-02T06:30:00Z", "2026-11-02T01:30:00", None),
        ],
    )
    .await;
    windrow.stop().await;
}

#[tokio::test]
async fn a_preview_of_a_job_starts_with_its_next_run() {
    let windrow = Windrow::start().await;
    let created = windrow.create("job").await;

    let ticks = windrow.client.preview_ticks("job").await.unwrap().ticks;

    assert_eq!(ticks.len(), 10);
    assert_eq!(ticks[0].tick_at, created.next_run_at);
    windrow.stop().await;
}

#[tokio::test]
async fn an_invalid_preview_is_rejected_with_its_field() {
    let windrow = Windrow::start().await;
    let now = "2026-01-01T00:00:00Z";
    let both = proto::PreviewTicksRequest {
        scheduled_job_id: "job".to_owned(),
        ..schedule("* * * * *", "", now, 1)
    };
    for (request, field) in [
        (schedule("61 * * * *", "", now, 1), "cron_expression"),
        (schedule("* * * * *", "Mars/Olympus", now, 1), "timezone"),
        (schedule("* * * * *", "", now, -1), "count"),
        (proto::PreviewTicksRequest::default(), "cron_expression"),
        (both, "scheduled_job_id"),
    ] {
        let refused = preview(&windrow, request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert_eq!(refused.field_violations()[0].field, field, "{refused}");
    }
    let unknown =
        proto::PreviewTicksRequest { scheduled_job_id: "nope".to_owned(), ..Default::default() };
    assert_eq!(preview(&windrow, unknown).await.unwrap_err().code(), Code::NotFound);
    windrow.stop().await;
}

#[tokio::test]
async fn the_ledger_has_the_decision_of_each_tick() {
    let windrow = Windrow::start().await;
    let every_second =
        proto::ScheduledJob { cron_expression: "@every 1s".to_owned(), ..job("job") };
    windrow.create_as(every_second).await.unwrap();
    let list = async |page_size, page_token: &str| {
        let ticks = windrow.client.list_ticks("job").page_size(page_size).page_token(page_token);
        ticks.await.unwrap()
    };
    eventually("three ticks are decided", async || {
        let ticks = list(0, "").await.ticks;
        if ticks.len() < 3 { Err(ticks) } else { Ok(()) }
    })
    .await;
    windrow.client.pause_job("job").await.unwrap();

    let all = list(0, "").await;
    let mut paged = Vec::new();
    let mut page = list(2, "").await;
    loop {
        paged.extend(page.ticks);
        if page.next_page_token.is_empty() {
            break;
        }
        page = list(2, &page.next_page_token).await;
    }

    assert_eq!(all.ticks, paged);
    assert!(all.ticks.is_sorted_by_key(|tick| std::cmp::Reverse(tick.tick_at.unwrap().seconds)));
    let runs = windrow.get("job").await.job_runs;
    for tick in all.ticks.iter().filter(|t| t.decision() == proto::TickDecision::Fired) {
        let run = runs.iter().find(|run| run.job_id == tick.job_id).unwrap();
        assert_eq!((run.tick_at, tick.count), (tick.tick_at, 1));
        assert!(tick.decided_at.unwrap().seconds >= tick.tick_at.unwrap().seconds);
    }
    windrow.stop().await;
}
