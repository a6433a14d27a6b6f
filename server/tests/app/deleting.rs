//! A deletion leaves no run of its job waiting.

use windrow_server::app::{AppError, Mode, Trigger};
use windrow_server::domain::id::ScheduledJobId;
use windrow_server::domain::parameters::ScrapeParameters;
use windrow_server::domain::run::Status;

use crate::support::{World, create, job, runs};

const ROUNDS: usize = 40;

#[tokio::test]
async fn a_trigger_during_the_deletion_is_refused_or_its_run_cancelled() {
    let world = World::new().await;
    let (one, other) = (world.app().await, world.app().await);
    for round in 0..ROUNDS {
        let name = format!("job{round}");
        create(&one, &name).await;
        let id = ScheduledJobId::parse(&name).unwrap();
        let trigger = || Trigger {
            job_id: name.clone(),
            priority: None,
            overrides: ScrapeParameters::default(),
            labels: std::collections::BTreeMap::new(),
            requested_by: "test".to_owned(),
            request: None,
        };
        let (deleted, first, second) = tokio::join!(
            one.delete_scheduled_job(&id, "", "test"),
            other.trigger(trigger(), Mode::Commit),
            one.trigger(trigger(), Mode::Commit),
        );
        deleted.unwrap();
        let refused = |answer: &Result<_, AppError>| matches!(answer, Err(AppError::JobDeleted(_)));
        let made = [&first, &second].into_iter().filter(|answer| !refused(answer)).count();
        assert!([&first, &second].iter().all(|answer| answer.is_ok() || refused(answer)));

        let left = runs(&one, &name).await;

        assert_eq!(left.len(), made);
        assert!(
            left.iter().all(|run| run.state.status == Status::Cancelled),
            "round {round}: {left:?}"
        );
        let count = job(&one, &name).await.history.run_count;
        assert_eq!(usize::try_from(count).unwrap(), made);
    }
}
