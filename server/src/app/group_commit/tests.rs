use futures::FutureExt;
use futures::future::join_all;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::*;

struct Nothing;

impl GroupCall for Nothing {
    type Output = ();

    fn work(_output: &()) -> Work {
        Work::none()
    }

    async fn execute(
        _: &mut PgConnection,
        calls: &[&Self],
        _: Locked,
    ) -> Result<Results<()>, AppError> {
        Ok(calls.iter().map(|_| Some(Ok(()))).collect())
    }
}

#[tokio::test]
async fn more_than_the_maximum_of_unanswered_calls_is_refused() {
    // A database that does not answer.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port);
    let group =
        GroupCommit::new(PgPoolOptions::new().connect_lazy_with(options).into(), |_work| {});
    let mut calls = Box::pin(join_all((0..UNANSWERED).map(|_| group.call(Nothing))));
    assert!((&mut calls).now_or_never().is_none());
    let refused = group.call(Nothing).now_or_never();
    assert!(matches!(refused, Some(Err(AppError::Overloaded))));
    // Callers that are gone no longer count. The batch in progress keeps its places.
    drop(calls);
    group.shared.next_batch();
    assert!(group.call(Nothing).now_or_never().is_none());
}
