//! Writing runs that were read without a lock: what others have written meanwhile stays.

use std::time::Duration;

use windrow_server::clock::Clock;
use windrow_server::domain::run::{Counts, Event, LocationResult, Run, Status};
use windrow_server::store::runs;
use windrow_worker::AttemptUpdate;

use crate::support::{World, create, heartbeat_item, job, lease_many, trigger, worker_of};

/// The run after a report.
fn reported(run: &Run, world: &World) -> Run {
    let result = LocationResult { location: "Carmel, IN".to_owned(), failure: None };
    let event = Event::Progressed {
        attempt: run.state.attempt,
        found: Counts::default(),
        results: vec![result],
    };
    run.clone().apply(event, world.clock.now()).unwrap()
}

#[tokio::test]
async fn an_extension_of_the_lease_stays() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    trigger(&app, "job", None).await;
    let run = lease_many(&app, "worker", 1).await.remove(0);
    let reported = reported(&run, &world);
    world.pass(15);
    let items = vec![heartbeat_item(&run, AttemptUpdate::default())];
    app.heartbeat(worker_of(&run), items, Duration::ZERO).await.unwrap();
    let extended = app.get_run(&run.spec.id).await.unwrap().state.lease.unwrap();
    assert!(extended.expires_at > run.state.lease.as_ref().unwrap().expires_at);

    let mut conn = world.pool.acquire().await.unwrap();
    let written = runs::runs_write_free(&mut conn, &[reported]).await.unwrap();
    assert!(written.contains(run.spec.id.as_str()));
    let after = app.get_run(&run.spec.id).await.unwrap();
    assert_eq!(after.state.revision, run.state.revision + 1);
    assert_eq!(after.state.lease.unwrap(), extended);
}

#[tokio::test]
async fn locked_and_changed_runs_are_left_out_and_the_others_written() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    for _ in 0..3 {
        trigger(&app, "job", None).await;
    }
    let read = lease_many(&app, "worker", 3).await;
    let [changed, locked, free] = read.as_slice() else { panic!("{read:?}") };
    app.cancel_run(&changed.spec.id).await.unwrap();
    let mut lock = world.pool.begin().await.unwrap();
    runs::runs_lock(&mut lock, std::slice::from_ref(&locked.spec.id)).await.unwrap();

    let done = |run: &Run| {
        let attempt = run.state.attempt;
        let failed = Event::AttemptFailed { attempt, reason: "broken".into(), permanent: true };
        run.clone().apply(failed, world.clock.now()).unwrap()
    };
    let all: Vec<Run> = read.iter().map(done).collect();
    let mut conn = world.pool.acquire().await.unwrap();
    let written = runs::runs_write_free(&mut conn, &all).await.unwrap();
    assert_eq!(written.into_iter().collect::<Vec<_>>(), [free.spec.id.to_string()]);
    lock.rollback().await.unwrap();

    let status = async |run: &Run| app.get_run(&run.spec.id).await.unwrap().state.status;
    assert_eq!(status(changed).await, Status::Running);
    assert_eq!(status(locked).await, Status::Running);
    assert_eq!(status(free).await, Status::Failed);
    assert_eq!(job(&app, "job").await.history.run_count, 1);
}
