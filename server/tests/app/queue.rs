//! The queue of unfinished runs, which every change of a run keeps up to date.

use windrow_server::domain::run::Status;
use windrow_worker::{AttemptUpdate, Outcome};

use crate::support::{World, attempt, complete, create, lease, trigger};

/// The statuses in the queue, which must have every run that has not ended in its state.
async fn queue(world: &World) -> Vec<String> {
    let different: Vec<String> = sqlx::query_scalar(
        "select coalesce(r.job_id, u.job_id)
         from (select * from scraping_job where completed_at is null) r
         full join unfinished_run u using (job_id)
         where (u.queue, u.source, u.rank_at, u.status, u.available_at, u.worker_id)
             is distinct from (r.scheduled_job_id, r.source, r.rank_at, r.status, r.available_at, r.worker_id)",
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
    app.finish(&attempt(&run), failed, AttemptUpdate::default()).await.unwrap();
    assert_eq!(queue(&world).await, ["pending", "pending"]);

    app.cancel_run(&other.spec.id).await.unwrap();
    assert_eq!(queue(&world).await, ["pending"]);
    world.pass(3_600);
    let last = lease(&app, "worker").await;
    assert_eq!(complete(&app, &last).await.unwrap().state.status, Status::Completed);
    assert_eq!(queue(&world).await, [""; 0]);
}
