//! The lower bound of incremental reads: only a complete run with the same parameters moves it.

use std::sync::Arc;

use windrow_server::app::App;
use windrow_server::domain::run::{Run, RunSpec};
use windrow_worker::{AttemptUpdate, Failure, LocationResult, Outcome};

use crate::support::{World, create, holder, lease, trigger};

/// Every hundredth run reads everything.
const FULL_EVERY: u32 = 100;

/// Executes one run, ten minutes after the previous one.
async fn run(world: &World, app: &App, failed: &[&str]) -> Run {
    world.pass(600);
    trigger(app, "job", None).await;
    let run = lease(app, "worker").await;
    world.pass(60);
    let result = |location: &String| LocationResult {
        location: location.clone(),
        failure: failed
            .contains(&location.as_str())
            .then(|| Failure { reason: "no".to_owned(), permanent: false }),
    };
    let results = run.spec.parameters.locations.iter().map(result).collect();
    let update = AttemptUpdate { results, lines: Vec::new() };
    app.finish(&holder(&run), Outcome::Done, update).await.unwrap()
}

#[tokio::test]
async fn only_a_complete_run_moves_the_lower_bound() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    let next = trigger(&app, "job", None).await;
    let since = async || app.changed_since(&next, FULL_EVERY).await.unwrap();
    assert_eq!(since().await, None, "no run has completed yet");
    app.cancel_run(&next.spec.id).await.unwrap();

    let complete = run(&world, &app, &[]).await;
    assert_eq!(since().await, complete.state.started_at);
    run(&world, &app, &["Indianapolis, IN"]).await;
    assert_eq!(since().await, complete.state.started_at, "a failed location was not read");
    let later = run(&world, &app, &[]).await;
    assert_eq!(since().await, later.state.started_at);
}

#[tokio::test]
async fn other_parameters_full_scrape_a_limit_and_every_nth_run_read_everything() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    let complete = run(&world, &app, &[]).await;
    let changed = |change: fn(&mut RunSpec)| {
        let mut run = complete.clone();
        change(Arc::make_mut(&mut run.spec));
        run
    };
    let since = async |run: &Run, every| app.changed_since(run, every).await.unwrap();

    assert_eq!(since(&complete, FULL_EVERY).await, complete.state.started_at);
    let slower = changed(|spec| spec.parameters.request_delay = Some(std::time::Duration::ZERO));
    assert_eq!(since(&slower, FULL_EVERY).await, complete.state.started_at);
    for other in [
        changed(|spec| spec.parameters.locations = vec!["Fishers, IN".to_owned()]),
        changed(|spec| spec.parameters.past_days = Some(7)),
        changed(|spec| spec.parameters.full_scrape = Some(true)),
        changed(|spec| spec.parameters.limit = Some(5)),
        changed(|spec| spec.scheduled_job_id = None),
    ] {
        assert_eq!(since(&other, FULL_EVERY).await, None, "{other:#?}");
    }
    assert_eq!(since(&complete, 1).await, None);
}
