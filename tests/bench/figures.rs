//! Measured times, and their unit: one committed INSERT plus one gRPC echo in the same run.

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection};
use tokio::time::Instant;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const BASE: usize = 2_000;

/// Times in milliseconds, sorted.
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn of(took: Vec<Duration>) -> Self {
        let mut millis: Vec<f64> = took.into_iter().map(|took| took.as_secs_f64() * 1e3).collect();
        millis.sort_by(f64::total_cmp);
        Self(millis)
    }

    pub(crate) fn p50(&self) -> f64 {
        self.at(50)
    }

    pub(crate) fn p99(&self) -> f64 {
        self.at(99)
    }

    fn at(&self, percent: usize) -> f64 {
        self.0.get(self.0.len() * percent / 100).copied().unwrap_or_default()
    }

    pub(crate) fn print(&self, what: &str) {
        println!(
            "{what}: p50 {:.2} ms, p99 {:.2} ms (of {})",
            self.p50(),
            self.p99(),
            self.0.len()
        );
    }

    /// Prints them also as multiples of the unit.
    pub(crate) fn print_beside(&self, base: f64, what: &str) {
        self.print(what);
        let (p50, p99) = (self.p50() / base, self.p99() / base);
        println!("    {p50:.1} and {p99:.1} times an INSERT and an echo");
    }
}

/// The unit: the medians of a committed INSERT and a gRPC echo together, in milliseconds.
pub(crate) async fn base(url: &str, address: &str) -> f64 {
    let insert = inserts(url).await;
    insert.print("INSERT of a row, committed");
    let echo = echoes(address).await;
    echo.print("gRPC echo (health check)");
    insert.p50() + echo.p50()
}

/// Commits rows of the size of a run, one after the other.
pub(crate) async fn inserts(url: &str) -> Figures {
    let mut conn = PgConnection::connect(url).await.unwrap();
    conn.execute(
        "drop table if exists bare; create table bare (id bigint primary key, body text not null)",
    )
    .await
    .unwrap();
    let body = "x".repeat(800);
    let mut took = Vec::new();
    for number in 0..BASE {
        let begin = Instant::now();
        sqlx::query("insert into bare values ($1, $2)")
            .bind(i64::try_from(number).unwrap())
            .bind(&body)
            .execute(&mut conn)
            .await
            .unwrap();
        took.push(begin.elapsed());
    }
    Figures::of(took)
}

/// Makes calls that do nothing, one after the other.
async fn echoes(address: &str) -> Figures {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut health = HealthClient::new(endpoint.connect().await.unwrap());
    let mut took = Vec::new();
    for _ in 0..BASE {
        let begin = Instant::now();
        health.check(HealthCheckRequest::default()).await.unwrap();
        took.push(begin.elapsed());
    }
    Figures::of(took)
}
