//! The time of each call at one size.

use prost_types::Timestamp;
use sqlx::{Connection, PgConnection};
use tokio::time::Instant;
use windrow::v1 as proto;

use crate::calls::Calls;
use crate::figures::{self, Figures};
use crate::fill::RUNS_PER_JOB;
use crate::setting::setting;

/// The calls take turns among this number of jobs. The median is that of jobs in memory; p99 shows the first calls,
/// which read from disk.
const JOBS: i64 = 20;
const PAGE: i64 = 50;
const FAR_PAGE: i64 = 100;

/// The figures of one size.
pub(crate) struct Measured {
    pub(crate) runs: i64,
    /// Milliseconds of each call.
    pub(crate) figures: Vec<(&'static str, Figures)>,
    /// Shares of a core that the server and Postgres take without calls.
    pub(crate) idle: [f64; 2],
    pub(crate) bytes_per_run: i64,
    /// Of the server, in MiB.
    pub(crate) memory: u64,
}

/// The number of calls of each kind.
pub(crate) fn calls() -> usize {
    setting("WINDROW_BENCH_CALLS", 200)
}

/// One job that the calls are about.
struct Job {
    id: String,
    /// Its last tick.
    tick_at: Timestamp,
}

pub(crate) async fn measure(url: &str, address: &str, runs: i64) -> Vec<(&'static str, Figures)> {
    let jobs = some_jobs(url, runs / RUNS_PER_JOB).await;
    let mut calls = Calls::connect(address).await;
    let mut figures = changes(&mut calls, &jobs).await;
    figures.extend(lists(&mut calls, &jobs, runs).await);
    figures.extend(of_jobs(&mut calls, &jobs).await);
    figures.push(("INSERT of a row", figures::inserts(url).await));
    figures
}

/// Jobs that have runs, from the first to the last.
async fn some_jobs(url: &str, count: i64) -> Vec<Job> {
    let mut conn = PgConnection::connect(url).await.unwrap();
    let last = "select scheduled_job_id, extract(epoch from max(tick_at))::bigint
        from tick
        where scheduled_job_id = any(
            select 'growth-' || lpad((n * $1 / $2)::text, 6, '0') from generate_series(0, $2 - 1) n
        )
        group by 1";
    let jobs: Vec<(String, i64)> =
        sqlx::query_as(last).bind(count).bind(JOBS.min(count)).fetch_all(&mut conn).await.unwrap();
    let job = |(id, seconds)| Job { id, tick_at: Timestamp { seconds, nanos: 0 } };
    jobs.into_iter().map(job).collect()
}

/// Makes a call for each job in turn.
async fn time<T>(jobs: &[Job], mut call: impl AsyncFnMut(&Job) -> T) -> Figures {
    let mut took = Vec::new();
    for job in jobs.iter().cycle().take(calls()) {
        let begin = Instant::now();
        call(job).await;
        took.push(begin.elapsed());
    }
    Figures::of(took)
}

/// The life of runs.
async fn changes(calls: &mut Calls, jobs: &[Job]) -> Vec<(&'static str, Figures)> {
    let trigger = time(jobs, async |job| calls.trigger(&job.id).await).await;
    let (mut lease, mut finish) = (Vec::new(), Vec::new());
    for _ in 0..self::calls() {
        let begin = Instant::now();
        let leased = calls.lease().await;
        lease.push(begin.elapsed());
        let begin = Instant::now();
        calls.finish(leased, proto::AttemptOutcome::Done).await;
        finish.push(begin.elapsed());
    }
    let (lease, finish) = (Figures::of(lease), Figures::of(finish));
    vec![("trigger", trigger), ("lease", lease), ("finish", finish)]
}

async fn lists(calls: &mut Calls, jobs: &[Job], runs: i64) -> Vec<(&'static str, Figures)> {
    let filter = |filter: &str| proto::ListScrapingJobsRequest {
        filter: filter.to_owned(),
        ..Default::default()
    };
    // Shares of the runs that the filling has made, and the failed template.
    let (failed, of_team, of_region) = (runs / 25 + 1, runs / 250, runs / 50);
    let mut figures = Vec::new();
    let far =
        proto::ListScrapingJobsRequest { page_token: far(calls, runs).await, ..Default::default() };
    for (what, request, matching) in [
        ("first page of all runs", filter(""), runs),
        ("page 100 of all runs", far, runs),
        ("runs with status failed", filter("status = failed"), failed),
        ("failed runs with a label", filter("status = failed AND labels.team = \"3\""), of_team),
        ("runs with a label", filter("labels.region = \"7\""), of_region),
    ] {
        let call = async |_: &Job| check(&calls.list(request.clone()).await, matching);
        figures.push((what, time(jobs, call).await));
    }
    let of_job = async |job: &Job| {
        let request = proto::ListScrapingJobsRequest {
            scheduled_job_id: job.id.clone(),
            ..Default::default()
        };
        check(&calls.list(request).await, PAGE);
    };
    figures.push(("runs of a job", time(jobs, of_job).await));
    figures
}

/// The token of a far page, or of the last full one.
async fn far(calls: &mut Calls, runs: i64) -> String {
    let mut page_token = String::new();
    for _ in 1..FAR_PAGE.min(runs / PAGE) {
        let request = proto::ListScrapingJobsRequest { page_token, ..Default::default() };
        page_token = calls.list(request).await.next_page_token;
    }
    page_token
}

/// A page has the runs that match, as far as they fit.
fn check(page: &proto::ListScrapingJobsResponse, matching: i64) {
    assert_eq!(i64::try_from(page.scraping_jobs.len()).unwrap(), matching.min(PAGE));
    assert!(page.total_is_lower_bound || page.total >= matching, "{} of {matching}", page.total);
}

/// What users ask about jobs.
async fn of_jobs(calls: &mut Calls, jobs: &[Job]) -> Vec<(&'static str, Figures)> {
    let detail = async |job: &Job| {
        let request = proto::GetScheduledJobRequest {
            scheduled_job_id: job.id.clone(),
            ..Default::default()
        };
        let detail = calls.jobs.get_scheduled_job(request).await.unwrap().into_inner();
        assert!(detail.total_runs >= RUNS_PER_JOB, "{} runs", detail.total_runs);
    };
    let detail = time(jobs, detail).await;
    let statistics = async |job: &Job| {
        let request = proto::GetScheduledJobStatsRequest {
            scheduled_job_id: job.id.clone(),
            ..Default::default()
        };
        let statistics = calls.jobs.get_scheduled_job_stats(request).await.unwrap().into_inner();
        assert!(statistics.completed_runs > 0, "runs of 30 days");
    };
    let statistics = time(jobs, statistics).await;
    let explain = async |job: &Job| {
        let request = proto::ExplainTickRequest {
            scheduled_job_id: job.id.clone(),
            tick_at: Some(job.tick_at),
        };
        let explained = calls.jobs.explain_tick(request).await.unwrap().into_inner();
        assert_eq!(explained.state(), proto::TickState::Decided);
    };
    let explain = time(jobs, explain).await;
    let list = async |_: &Job| {
        let request = proto::ListScheduledJobsRequest::default();
        calls.jobs.list_scheduled_jobs(request).await.unwrap();
    };
    let list = time(jobs, list).await;
    vec![
        ("detail of a job", detail),
        ("statistics of a job", statistics),
        ("explanation of a tick", explain),
        ("first page of jobs", list),
    ]
}
