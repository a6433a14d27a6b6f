//! A deletion leaves no pending run of its job, even if a trigger runs at the same time.

use windrow_server::app::{AppError, Mode};
use windrow_server::domain::run::Status;

use crate::support::{World, create, id, job, runs, trigger_of};

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
