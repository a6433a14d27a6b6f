//! The cost of lists that no machine changes: the runs that they read, whatever the number of ended ones.

use std::sync::{Arc, LazyLock};

use windrow_server::app::{App, RunPage, RunQuery};
use windrow_server::domain::filter::{RunConditions, RunFilter};
use windrow_server::watch::Hub;

use crate::statements::{SUBSCRIBER, add_ended_runs, explaining, live, take};
use crate::support::{World, create, trigger};

#[tokio::test]
async fn a_list_of_unfinished_runs_does_not_read_the_ended_ones() {
    let world = World::new().await;
    let setup = world.app().await;
    create(&setup, "job").await;
    live(&setup, 1).await;
    add_ended_runs(&world, 20_000).await;
    trigger(&setup, "job", None).await;
    sqlx::query("analyze").execute(&world.pool).await.unwrap();
    let explaining = explaining(&world).await;
    let app = explaining.app_with(Arc::new(Hub::start(world.pool.clone()).await.unwrap()));
    let all = RunQuery { filter: RunFilter::default(), after: None, limit: 50 };
    let page = app.list_runs(all).await.unwrap();
    assert_eq!((page.total, page.total_is_lower_bound), (1_000, true), "counting is bounded");
    LazyLock::force(&SUBSCRIBER);
    for text in ["status = pending", "status = running", "status != completed"] {
        let conditions = RunConditions::parse(text).unwrap();
        let filter = RunFilter { scheduled_job_id: None, conditions };
        take("");
        app.list_runs(RunQuery { filter, after: None, limit: 50 }).await.unwrap();
        let plans = take("sqlx::postgres::notice");
        assert_eq!(plans.len(), 2, "{plans:?}");
        for plan in plans {
            let reads_all = plan.contains("Seq Scan on scraping_job ")
                || plan.contains("Rows Removed by Filter: 20");
            assert!(!reads_all, "{text}: {plan}");
        }
    }
}

/// One run in 20 has failed, one in 9 has the label, one in 180 both. Runs have other labels too.
async fn label_and_fail(world: &World) {
    let change = "with run as (
            update scraping_job
            set
                created_at = created_at - number * interval '1 second',
                status = case when number % 20 = 0 then 'failed' else status end,
                labels = jsonb_build_object(
                    'region', (number % 50)::text, 'team', case number % 9 when 0 then 'sales' else 'other' end
                )
            from (
                select job_id as id, row_number() over (order by job_id) as number from scraping_job
            ) numbered
            where job_id = id and completed_at is not null
            returning labels, status, created_at, job_id
        )
        insert into run_label
        select key || '=' || value, ended_as, created_at, job_id
        from
            run,
            jsonb_each_text(labels),
            unnest(case status when 'failed' then array['', status] else array[''] end) ended_as";
    sqlx::query(change).execute(&world.pool).await.unwrap();
    sqlx::query("vacuum analyze").execute(&world.pool).await.unwrap();
}

async fn list(app: &App, text: &str) -> RunPage {
    let conditions = RunConditions::parse(text).unwrap();
    let filter = RunFilter { scheduled_job_id: None, conditions };
    let first = RunQuery { filter, after: None, limit: 50 };
    let page = app.list_runs(first.clone()).await.unwrap();
    let last = page.runs.next_after().map(|run| (run.spec.created_at, run.spec.id.clone()));
    app.list_runs(RunQuery { after: last, ..first }).await.unwrap();
    page
}

/// The runs that a plan reads, and those that it reads for nothing.
fn runs_read(plan: &str) -> usize {
    let lines: Vec<&str> = plan.split("\\n").flat_map(str::lines).collect();
    let number_after = |line: &str, word: &str| {
        let digits = line.split(word).last().filter(|_| line.contains(word))?;
        digits.split(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok()
    };
    let reads = |line: &str| line.contains(" on scraping_job") && line.contains("(actual time=");
    let read = lines
        .iter()
        .filter(|line| reads(line))
        .filter_map(|node| Some(number_after(node, "rows=")? * number_after(node, "loops=")?));
    let removed = lines.iter().filter_map(|line| number_after(line, "Rows Removed by Filter: "));
    read.sum::<usize>() + removed.sum::<usize>()
}

#[tokio::test]
async fn a_list_by_status_or_label_does_not_read_the_other_runs() {
    let world = World::new().await;
    let setup = world.app().await;
    create(&setup, "job").await;
    live(&setup, 1).await;
    add_ended_runs(&world, 40_000).await;
    label_and_fail(&world).await;
    let explaining = explaining(&world).await;
    let app = explaining.app_with(Arc::new(Hub::start(world.pool.clone()).await.unwrap()));
    LazyLock::force(&SUBSCRIBER);
    // The runs that a page may read, and those that a count may.
    for (text, total, of_page, of_count) in [
        ("status = failed", 1_000, 60, 1_001),
        ("labels.team = sales", 1_000, 60, 0),
        ("status = failed AND labels.team = sales", 40_000 / 180, 60, 0),
    ] {
        take("");
        assert_eq!(list(&app, text).await.total, total, "{text}");
        let plans = take("sqlx::postgres::notice");
        assert_eq!(plans.len(), 4, "{plans:?}");
        for plan in plans {
            let (read, most) =
                (runs_read(&plan), if plan.contains("count(*)") { of_count } else { of_page });
            assert!(read <= most, "{text} reads {read} runs: {plan}");
        }
    }
}
