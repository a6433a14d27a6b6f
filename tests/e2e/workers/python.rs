//! The Python worker package: its own checks, and a worker with a real server.

use windrow_client::proto;
use windrow_server::sources::{SourceSettings, WorkerSettings};

use crate::support::python::{PACKAGE, install, python, run, worker};
use crate::support::{Windrow, job, parameters, wait_for};
use proto::ScrapingJobStatus as Status;

#[tokio::test]
async fn the_package_passes_its_own_checks() {
    let check = |arguments: &'static [&'static str]| {
        let mut command = python();
        command.arg("-m").args(arguments).current_dir(PACKAGE);
        command
    };
    tokio::task::spawn_blocking(move || {
        install();
        run(&mut check(&["mypy", "--cache-dir", "/dev/null"]));
        run(&mut check(&["pytest", "-q", "-p", "no:cacheprovider"]));
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_python_worker_executes_runs_reports_failures_and_stops_cancelled_runs() {
    tokio::task::spawn_blocking(install).await.unwrap();
    let declared = SourceSettings::Worker(WorkerSettings::default());
    let windrow =
        Windrow::start_with(|config| config.sources.extend([("py".to_owned(), declared)])).await;
    let at = |locations: &[&str]| proto::ScheduledJob {
        parameters: Some(proto::ScrapeParameters {
            locations: locations.iter().map(|place| (*place).to_owned()).collect(),
            request_delay: Some(prost_types::Duration::default()),
            ..parameters("py")
        }),
        scheduled_job_id: locations.join("-"),
        ..job("")
    };
    for job in [at(&["here", "nowhere"]), at(&["stuck"])] {
        windrow.create_as(job).await.unwrap();
    }
    let _worker = worker("worker.py", &windrow.address());

    let ended = windrow.end(&windrow.trigger("here-nowhere").await.job_id).await;

    assert_eq!(ended.status(), Status::Completed, "{ended:#?}");
    assert_eq!((ended.properties_scraped, ended.properties_inserted), (700, 700));
    let failed = &ended.failed_locations[0];
    assert_eq!((failed.location.as_str(), failed.permanent), ("nowhere", true));
    let logs = windrow.client.list_logs(ended.job_id).location("here").await.unwrap().logs;
    assert!(logs.iter().any(|line| line.text == "looks at here"), "{logs:#?}");

    let stuck = windrow.trigger("stuck").await.job_id;
    wait_for(&mut windrow.client.watch(&stuck).from_start().states(), Status::Running).await;
    windrow.cancel(&stuck).await.unwrap();
    assert_eq!(windrow.end(&stuck).await.status(), Status::Cancelled);
    windrow.stop().await;
}
