//! Watches of one run.

use super::*;

#[tokio::test]
async fn a_broken_watch_resumes_without_gap_or_repeat() {
    let fake = one(vec![
        (vec![at(1, S::Pending), at(2, S::Running), stopping()], Closed),
        (vec![at(2, S::Running), at(3, S::Running), at(5, S::Completed)], Closed),
    ]);
    let client = fake.client().await;

    let seen = revisions(&client, 0).await.unwrap();

    assert_eq!(seen, [1, 2, 3, 5]);
    let requests = fake.watched_one.lock().unwrap();
    let requests: Vec<_> = requests.iter().map(|r| (r.after_revision, &*r.resume_token)).collect();
    assert_eq!(requests, [(Some(0), ""), (None, "after 2")]);
}

#[tokio::test]
async fn a_watch_of_one_run_reports_each_loss_and_each_resumption_once() {
    let synced = || {
        let (kind, resume_token) = (Kind::Synced.into(), "after 1".to_owned());
        Ok(proto::WatchScrapingJobResponse { kind, resume_token, ..Default::default() })
    };
    let fake = one(vec![
        (vec![at(1, S::Running), synced(), stopping()], Closed),
        (vec![stopping()], Closed),
        (vec![synced(), stopping()], Closed),
        (vec![at(2, S::Completed)], Closed),
    ]);

    let seen: Vec<_> = fake.client().await.watch("x").events().map(short).collect().await;

    let lost = "interrupted Unavailable";
    assert_eq!(seen, ["changed x1", "synced", lost, "synced", lost, "changed x2"]);
}

#[tokio::test]
async fn a_watch_that_ends_before_its_run_is_resumed() {
    let fake = one(vec![(vec![at(1, S::Pending)], Closed), (vec![at(2, S::Cancelled)], Closed)]);
    assert_eq!(revisions(&fake.client().await, 0).await.unwrap(), [1, 2]);
}

#[tokio::test]
async fn a_watch_after_the_final_revision_is_empty() {
    let fake = one(vec![(vec![], Closed), (vec![at(7, S::Failed)], Closed)]);
    let client = fake.client().await;

    assert_eq!(revisions(&client, 7).await.unwrap(), [0_i64; 0]);
    assert_eq!(revisions(&client, 7).await.unwrap(), [0_i64; 0]);
}

#[tokio::test]
async fn a_watch_of_an_unknown_run_fails_at_once() {
    let error = revisions(&Fake::default().client().await, 0).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}

#[tokio::test]
async fn an_idle_watch_resumes_on_another_server() {
    let silent = one(vec![(vec![at(1, S::Pending)], Silent)]);
    let other = one(vec![(vec![at(2, S::Completed)], Closed)]);
    let client = Client::builder().endpoint(silent.serve().await).endpoint(unused_address().await);
    let client = client.endpoint(other.serve().await);
    let client = client.stream_idle_timeout(Duration::from_millis(50));

    let seen = revisions(&client.connect().await.unwrap(), 0).await.unwrap();

    assert_eq!(seen, [1, 2]);
}

#[tokio::test]
async fn a_full_server_ends_a_watch_only_before_its_first_message() {
    let late = one(vec![
        (vec![at(1, S::Pending), stopping()], Closed),
        (vec![full()], Closed),
        (vec![at(2, S::Completed)], Closed),
    ]);
    assert_eq!(revisions(&late.client().await, 0).await.unwrap(), [1, 2]);

    let early = one(vec![(vec![full()], Closed), (vec![at(2, S::Completed)], Closed)]);
    let error = revisions(&early.client().await, 0).await.unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn a_watch_resumes_on_a_server_that_is_not_full() {
    let first =
        one(vec![(vec![at(1, S::Pending), stopping()], Closed), (vec![at(2, S::Failed)], Closed)]);
    let second = one(vec![(vec![full()], Closed)]);
    let servers = format!("{},{}", first.serve().await, second.serve().await);
    let client = Client::connect(&servers).await.unwrap();

    assert_eq!(revisions(&client, 0).await.unwrap(), [1, 2]);
    assert_eq!(second.watched_one.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_wait_starts_over_after_a_gap() {
    for reason in ["TOKEN_EXPIRED", "FEED_RESET"] {
        let fake = one(vec![
            (vec![at(10, S::Running), stopping()], Closed),
            (vec![because(reason)], Closed),
            // A restored database may have a lower revision.
            (vec![at(9, S::Failed)], Closed),
        ]);
        let client = fake.client().await;

        let end = client.trigger_and_wait("x").await.unwrap();

        assert_eq!((end.revision, end.status()), (9, S::Failed));
        assert_eq!(fake.watched_one.lock().unwrap()[2].resume_token, "");
    }
}

#[tokio::test]
async fn a_wait_for_a_run_that_a_reset_removed_is_not_found() {
    let fake = one(vec![(vec![at(1, S::Running), because("FEED_RESET")], Closed)]);
    let error = fake.client().await.wait("x").await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
}
