//! Changes whose responses clients do not read.

use futures::future::join_all;
use sqlx::PgPool;
use tonic::codegen::http::HeaderMap;
use windrow_client::proto;

use super::attacks::{Attacker, message, request};
use super::memory::{assert_bounded, create_runs, settled, start_on};
use crate::support::database::new_database;

const RUNS: usize = 100;
const CONNECTIONS: usize = 6;
const CALLS: usize = 150;

/// The status of a call that has ended without a message.
fn refusal(headers: &HeaderMap) -> Option<&str> {
    headers.get("grpc-status").map(|status| status.to_str().unwrap())
}

#[tokio::test]
async fn a_change_whose_response_finds_no_room_is_not_made() {
    let database_url = new_database().await;
    let server = start_on(&database_url);
    // As many as the server keeps for watches.
    create_runs(&server, RUNS).await;
    let before = settled(&server).await;
    let trigger = proto::TriggerJobRequest { job_id: "large".to_owned(), ..Default::default() };

    let mut attackers = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut attacker = Attacker::connect(&server, 0).await;
        for _ in 0..CALLS {
            attacker.call(request("ScrapingJobService/TriggerJob"), message(&trigger), true).await;
        }
        attackers.push(attacker);
    }
    let mut answered = 0;
    for attacker in &mut attackers {
        for response in join_all(attacker.responses.drain(..)).await {
            match refusal(response.unwrap().headers()) {
                None => answered += 1,
                Some(status) => assert_eq!(status, "8"),
            }
        }
    }
    drop(attackers);

    let pool = PgPool::connect(&database_url).await.unwrap();
    let runs = sqlx::query_scalar::<_, i64>("select count(*) from scraping_job");
    let made = runs.fetch_one(&pool).await.unwrap() - i64::try_from(RUNS).unwrap();
    assert_eq!(made, answered, "each run that was made is answered");
    assert!(made >= 100, "{made}");
    pool.close().await;
    assert_bounded(&server, before).await;
}
