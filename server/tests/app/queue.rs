//! The queue of unfinished runs, which every change of a run keeps up to date.

use std::collections::BTreeSet;

use futures::FutureExt;
use tokio::time::Instant;
use windrow_server::app::{App, Mode, Submission};
use windrow_server::domain::labels::Labels;
use windrow_server::domain::policy::RunPolicy;
use windrow_server::domain::run::{Run, Status};
use windrow_worker::{AttemptUpdate, Outcome};

use crate::support::{
    LEASE, LONG_AGO, World, complete, create, decide, holder, lease, lease_many, parameters,
    trigger,
};

/// The statuses in the queue, which must have every run that has not ended in its state.
async fn queue(world: &World) -> Vec<String> {
    let different: Vec<String> = sqlx::query_scalar(
        "select coalesce(r.job_id, u.job_id)
         from (select * from scraping_job where completed_at is null) r
         full join unfinished_run u using (job_id)
         where (u.queue, u.source, u.rank_at, u.created_at, u.origin, u.tick_at, u.queued, u.deadline_at,
                 u.status, u.available_at, u.worker_id)
             is distinct from (coalesce(r.scheduled_job_id, ''), r.source, r.rank_at, r.created_at, r.origin,
                 r.tick_at, r.queued, r.deadline_at, r.status, r.available_at, r.worker_id)",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(different, [""; 0]);
    sqlx::query_scalar("select status from unfinished_run order by status")
        .fetch_all(&world.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn every_change_of_a_run_is_a_change_of_the_queue() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    assert_eq!(queue(&world).await, [""; 0]);

    trigger(&app, "job", None).await;
    let other = trigger(&app, "job", None).await;
    assert_eq!(queue(&world).await, ["pending", "pending"]);
    let run = lease(&app, "worker").await;
    assert_eq!(queue(&world).await, ["pending", "running"]);
    let failed = Outcome::Failed { reason: "broken".to_owned(), permanent: false };
    app.finish(&holder(&run), failed, AttemptUpdate::default()).await.unwrap();
    assert_eq!(queue(&world).await, ["pending", "pending"]);

    let sources = BTreeSet::from(["sample".to_owned()]);
    let worker = app.signals().work_available.enter("waiting", &sources, 1).unwrap();
    app.cancel_run(&other.spec.id).await.unwrap();
    let woken = worker.wait_until(Instant::now() + LEASE).now_or_never();
    assert_eq!(woken, Some(()), "a run may have waited for it");
    drop(worker);
    assert_eq!(queue(&world).await, ["pending"]);
    world.pass(3_600);
    let last = lease(&app, "worker").await;
    assert_eq!(complete(&app, &last).await.unwrap().state.status, Status::Completed);
    assert_eq!(queue(&world).await, [""; 0]);

    // One-off runs, the runs of ticks, and ends that no worker reports.
    submit(&app, RunPolicy { run_timeout: Some(LEASE / 2), ..RunPolicy::default() }).await;
    decide(&app).await;
    assert_eq!(queue(&world).await, ["pending", "pending"]);
    assert_eq!(lease_many(&app, "worker", 2).await.len(), 2);
    assert_eq!(queue(&world).await, ["running", "running"]);
    world.pass(21);
    assert_eq!(app.reap(10, LONG_AGO).await.unwrap().len(), 2);
    assert_eq!(queue(&world).await, ["pending"]);
    let released = lease_later(&world, &app).await;
    app.finish(&holder(&released), Outcome::Released, AttemptUpdate::default()).await.unwrap();
    assert_eq!(queue(&world).await, ["pending"]);
}

async fn submit(app: &App, policy: RunPolicy) {
    let submission = Submission {
        parameters: parameters(),
        priority: None,
        available_at: None,
        labels: Labels::new(),
        policy,
        requested_by: "test".to_owned(),
        idempotency_key: None,
    };
    app.submit(submission, Mode::Commit).await.unwrap();
}

async fn lease_later(world: &World, app: &App) -> Run {
    world.pass(60);
    lease(app, "worker").await
}
