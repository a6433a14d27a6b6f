//! The maximum age of connections.

use std::sync::Mutex;
use std::time::Duration;

use futures::StreamExt as _;
use windrow_client::WatchEvent;

use crate::support::{Windrow, eventually, metric_of};

#[tokio::test]
async fn clients_leave_an_old_connection_without_an_error() {
    let windrow = Windrow::start_with(|config| {
        config.max_connection_age = Some(Duration::from_millis(200));
        config.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    windrow.create("job").await;
    let mut events = windrow.client.watch_all().events();
    while !matches!(events.next().await, Some(Ok(WatchEvent::Synced))) {}
    let metrics = windrow.metrics_address();

    // Triggers fail if their client stays on an old connection.
    let last = Mutex::new(String::new());
    eventually("several connections become old", async || {
        let run = windrow.client.trigger_job("job").await.unwrap();
        *last.lock().unwrap() = run.job_id;
        let aged: u32 =
            metric_of(&metrics, "windrow_connections_aged_total").await.parse().unwrap();
        if aged < 3 { Err(aged) } else { Ok(()) }
    })
    .await;

    // The stream began on the first of them, and has another minute.
    let last = last.into_inner().unwrap();
    while let Some(event) = events.next().await {
        let event = event.unwrap();
        assert!(!matches!(event, WatchEvent::Interrupted(_)), "{event:?}");
        if event.run().is_some_and(|run| run.job_id == last) {
            break;
        }
    }
    windrow.stop().await;
}
