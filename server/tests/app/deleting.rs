//! A deletion leaves no pending run of its job, even if a trigger runs at the same time.

use std::future::Future;

use sqlx::{Postgres, Transaction};
use tokio::select;
use windrow_server::app::{AppError, Mode};
use windrow_server::domain::run::Status;

use crate::support::{World, create, eventually, id, job, runs, trigger_of};

const ROUNDS: usize = 40;

#[tokio::test]
async fn a_trigger_during_the_deletion_is_rejected_or_its_run_is_cancelled() {
    let world = World::new().await;
    let (one, other) = (world.app().await, world.app().await);
    for round in 0..ROUNDS {
        let name = format!("job{round}");
        create(&one, &name).await;
        let (id, trigger) = (id(&name), || trigger_of(&name, None));
        let (deleted, first, second) = tokio::join!(
            one.delete_scheduled_job(&id, "", "test"),
            other.trigger(trigger(), Mode::Commit),
            one.trigger(trigger(), Mode::Commit),
        );
        deleted.unwrap();
        let rejected =
            |answer: &Result<_, AppError>| matches!(answer, Err(AppError::JobDeleted(_)));
        let created = [&first, &second].into_iter().filter(|answer| !rejected(answer)).count();
        assert!([&first, &second].iter().all(|answer| answer.is_ok() || rejected(answer)));

        let left = runs(&one, &name).await;

        assert_eq!(left.len(), created);
        assert!(
            left.iter().all(|run| run.state.status == Status::Cancelled),
            "round {round}: {left:?}"
        );
        let count = job(&one, &name).await.history.run_count;
        assert_eq!(usize::try_from(count).unwrap(), created);
    }
}

/// A change of a job, not committed yet.
async fn change(world: &World, statement: &'static str) -> Transaction<'static, Postgres> {
    let mut tx = world.pool.begin().await.unwrap();
    let revision = "update scheduled_job set revision = revision + 1";
    for statement in [statement, revision] {
        assert_eq!(sqlx::query(statement).execute(&mut *tx).await.unwrap().rows_affected(), 1);
    }
    tx
}

/// Commits the change as soon as the trigger waits for it; returns the result of the trigger.
async fn commit_under<T>(
    world: &World,
    change: Transaction<'static, Postgres>,
    trigger: impl Future<Output = T>,
) -> T {
    let is_waiting = async || {
        let waiting = "select count(*) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock'";
        let count: i64 = sqlx::query_scalar(waiting).fetch_one(&world.pool).await.unwrap();
        (count > 0).then_some(())
    };
    let mut trigger = Box::pin(trigger);
    select! {
        _ = &mut trigger => panic!("the run was created under the lock"),
        () = eventually("the trigger waits for the lock", is_waiting) => {}
    }
    change.commit().await.unwrap();
    trigger.await
}

#[tokio::test]
async fn a_trigger_that_waits_for_a_deletion_is_rejected() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    let delete = "update scheduled_job_schedule set deleted_at = updated_at, next_tick_at = null";
    let deletion = change(&world, delete).await;

    let answer =
        commit_under(&world, deletion, app.trigger(trigger_of("job", None), Mode::Commit)).await;

    assert!(matches!(answer, Err(AppError::JobDeleted(_))), "{answer:?}");
    assert!(runs(&app, "job").await.is_empty());
}

#[tokio::test]
async fn a_trigger_that_waits_for_an_edit_uses_the_new_settings() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    let edit = change(&world, "update scheduled_job set name = 'Renamed'").await;

    let answer =
        commit_under(&world, edit, app.trigger(trigger_of("job", None), Mode::Commit)).await;

    let message = answer.unwrap().message;
    assert_eq!(message, "Triggered scheduled job 'Renamed' to run immediately");
}
