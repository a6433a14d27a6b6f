//! Random values through every way in, read back by every way out.

use std::collections::BTreeMap;
use std::path::Path;

use axum::Router;
use futures::TryStreamExt;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tonic::Code;
use windrow::json::{from_struct, to_struct};
use windrow_client::proto;
use windrow_server::sources::{SourceSettings, WorkerSettings};
use windrow_server::supervisor::Supervisor;

use super::random::{RandomValues, comes_back};
use crate::support::database::new_database;
use crate::support::python::{SCRIPTS, install, python, run};
use crate::support::{Windrow, job, parameters, program, source_of};
use proto::ScrapingJobStatus as Status;

type Bodies = BTreeMap<String, Map<String, Value>>;

const RANDOM_BODIES: usize = 40;

#[tokio::test]
async fn properties_come_back_as_they_were_sent() {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let dir = tempfile::tempdir().unwrap();
    let sent = bodies(seed);
    let file = dir.path().join("rows.jsonl");
    std::fs::write(&file, lines(&sent, "property_id")).unwrap();
    let reso = serve(page(&sent)).await;
    let windrow = Windrow::start_with(|config| {
        let exec = format!("kind = 'exec'\ncommand = ['cat', '{}']", file.display());
        let reso = format!("kind = 'reso'\nurl = '{reso}'\ntoken = 'x'");
        config.sources.extend([
            ("exec".to_owned(), source_of(&exec)),
            ("reso".to_owned(), source_of(&reso)),
            ("grpc".to_owned(), SourceSettings::Worker(WorkerSettings::default())),
        ]);
    })
    .await;
    for source in ["exec", "reso", "grpc"] {
        let job = proto::ScheduledJob {
            parameters: Some(parameters(source)),
            ..job(&format!("job-{source}"))
        };
        windrow.create_as(job).await.unwrap();
        let id = windrow.trigger(&format!("job-{source}")).await.job_id;
        if source == "grpc" {
            submit(&windrow, &sent).await;
        }
        let ended = windrow.end(&id).await;
        assert_eq!(ended.status(), Status::Completed, "{source}: {}", ended.error_message);
    }

    for source in ["exec", "reso", "grpc"] {
        assert_come_back(&sent, &listed(&windrow, source).await, &format!("{source}, List"));
        assert_come_back(&sent, &exported(&windrow, source).await, &format!("{source}, Export"));
        let command = by_command(windrow.address(), source).await;
        assert_come_back(&sent, &command, &format!("{source}, command"));
        let python = by_python(windrow.address(), source).await;
        assert_come_back(&sent, &python, &format!("{source}, Python"));
    }
    let (id, body) = sent.iter().next().unwrap();
    let found = windrow.client.get_property("exec", id).await.unwrap();
    let found = Value::Object(from_struct(found.body.unwrap()).unwrap());
    assert!(comes_back(&Value::Object(body.clone()), &found), "Get: {found}");
    // The same values again are no change, in whatever form they come.
    let again = windrow.end(&windrow.trigger("job-exec").await.job_id).await;
    let count = i64::try_from(sent.len()).unwrap();
    assert_eq!((again.properties_updated, again.properties_skipped), (0, count));
    windrow.stop().await;
}

fn bodies(seed: u64) -> Bodies {
    let bodies = RandomValues::new(seed).bodies(RANDOM_BODIES).into_iter().enumerate();
    bodies.map(|(number, body)| (format!("{number:03}"), body)).collect()
}

fn with_id(id: &str, body: &Map<String, Value>, key: &str) -> Value {
    let mut body = body.clone();
    body.insert(key.to_owned(), json!(id));
    Value::Object(body)
}

fn lines(sent: &Bodies, key: &str) -> String {
    let rows: Vec<String> =
        sent.iter().map(|(id, body)| with_id(id, body, key).to_string()).collect();
    rows.join("\n")
}

fn page(sent: &Bodies) -> String {
    let value: Vec<Value> = sent.iter().map(|(id, body)| with_id(id, body, "ListingKey")).collect();
    json!({ "value": value }).to_string()
}

/// A RESO service with one page; returns its address.
async fn serve(page: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/reso/odata", listener.local_addr().unwrap());
    let app = Router::new().fallback(move || std::future::ready(page.clone()));
    Supervisor::default().work(async { axum::serve(listener, app).await.unwrap() });
    address
}

/// Executes the pending run as a worker without a library.
async fn submit(windrow: &Windrow, sent: &Bodies) {
    let address = format!("http://{}", windrow.address());
    let mut workers =
        proto::worker_service_client::WorkerServiceClient::connect(address).await.unwrap();
    let worker_id = "worker".to_owned();
    let request = proto::LeaseScrapingJobsRequest {
        worker_id: worker_id.clone(),
        sources: vec!["grpc".to_owned()],
        capacity: 1,
        ..Default::default()
    };
    let leases = workers.lease_scraping_jobs(request).await.unwrap().into_inner().leases;
    let run = leases[0].scraping_job.clone().unwrap();
    let attempt = Some(proto::Attempt { job_id: run.job_id, attempt: run.attempt });
    let batch = |scraped_before, id: &str, body: &Map<String, Value>| {
        let body = Some(to_struct(body.clone()));
        let property_id = id.to_owned();
        tokio_stream::once(proto::SubmitPropertiesRequest {
            worker_id: worker_id.clone(),
            attempt: attempt.clone(),
            scraped_before,
            properties: vec![proto::ScrapedProperty { property_id, body, ..Default::default() }],
            ..Default::default()
        })
    };
    for depth in [31, 50, 200] {
        let deep = (1..depth).fold(json!(1), |inner, _| json!({ "a": inner }));
        let body = Map::from_iter([("deep".to_owned(), deep)]);
        let responses = workers.submit_properties(batch(0, "deep", &body)).await.unwrap();
        let rejected = responses.into_inner().message().await.unwrap_err();
        assert_eq!(rejected.code(), Code::InvalidArgument, "{depth}: {rejected}");
    }
    for (scraped_before, (id, body)) in (0..).zip(sent) {
        let responses = workers.submit_properties(batch(scraped_before, id, body)).await.unwrap();
        responses.into_inner().message().await.unwrap().unwrap();
    }
    let result =
        proto::LocationResult { location: "Indianapolis, IN".to_owned(), ..Default::default() };
    let request = proto::FinishScrapingJobRequest {
        worker_id,
        attempt,
        outcome: proto::AttemptOutcome::Done.into(),
        location_results: vec![result],
        ..Default::default()
    };
    workers.finish_scraping_job(request).await.unwrap();
}

async fn listed(windrow: &Windrow, source: &str) -> Bodies {
    let properties = windrow.client.list_properties().source(source).stream();
    received(properties.try_collect().await.unwrap())
}

async fn exported(windrow: &Windrow, source: &str) -> Bodies {
    let properties = windrow.client.export_properties().source(source).stream();
    received(properties.try_collect().await.unwrap())
}

fn received(properties: Vec<proto::Property>) -> Bodies {
    let body = |property: proto::Property| {
        (property.property_id, from_struct(property.body.unwrap()).unwrap())
    };
    properties.into_iter().map(body).collect()
}

async fn by_command(server: String, source: &'static str) -> Bodies {
    let export = move || {
        let mut command = program::command("windrow");
        run(command.args(["--server", &server, "properties", "export", "--source", source]))
    };
    parsed(&tokio::task::spawn_blocking(export).await.unwrap())
}

/// By Python's protobuf, with its default limits.
async fn by_python(server: String, source: &'static str) -> Bodies {
    let export = move || {
        install();
        run(python().arg(format!("{SCRIPTS}/properties.py")).args([&server, source]))
    };
    let mut bodies = parsed(&tokio::task::spawn_blocking(export).await.unwrap());
    // Python knows the numbers of a Struct only as doubles.
    bodies.values_mut().flat_map(Map::values_mut).for_each(make_whole);
    bodies
}

fn make_whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            *value = windrow::json::from_double(number.as_f64().unwrap()).unwrap();
        }
        Value::Array(items) => items.iter_mut().for_each(make_whole),
        Value::Object(fields) => fields.values_mut().for_each(make_whole),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn parsed(lines: &str) -> Bodies {
    let property = |line: &str| {
        let property: Value = serde_json::from_str(line).unwrap();
        let id = property["property_id"].as_str().unwrap().to_owned();
        (id, property["body"].as_object().unwrap().clone())
    };
    lines.lines().map(property).collect()
}

fn assert_come_back(sent: &Bodies, actual: &Bodies, way: &str) {
    assert_eq!(sent.len(), actual.len(), "{way}");
    for (id, body) in sent {
        let (sent, actual) = (Value::Object(body.clone()), Value::Object(actual[id].clone()));
        let shown = |value: &Value| value.to_string().chars().take(2_000).collect::<String>();
        assert!(comes_back(&sent, &actual), "{way} {id}:\n{}\n{}", shown(&sent), shown(&actual));
    }
}

#[tokio::test]
async fn texts_and_times_of_an_import_come_back() {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = RandomValues::new(seed);
    let dir = tempfile::tempdir().unwrap();
    let texts: Vec<(String, String)> =
        (0..20).map(|_| (random.line(80), random.line(800))).collect();
    let documents = texts.iter().enumerate().map(|(number, (location, error))| {
        let run = json!({
            "job_id": format!("immediate_1700000000_{number:012x}"), "status": "failed",
            "locations": [location], "error_message": error, "created_at": "2023-11-14T22:13:20Z",
            "completed_at": "9999-12-31T23:59:59.999999Z",
        });
        format!("{run}\n")
    });
    std::fs::write(dir.path().join("jobs.json"), documents.collect::<String>()).unwrap();
    let url = new_database().await;
    import(dir.path(), &url);

    let windrow = Windrow::start_on(&url, |_| {}).await;
    let runs = windrow.client.list_runs().await.unwrap().scraping_jobs;
    assert_eq!(runs.len(), texts.len());
    for run in runs {
        let number = run.job_id.rsplit('_').next().unwrap();
        let (location, error) = &texts[usize::from_str_radix(number, 16).unwrap()];
        assert_eq!((&run.parameters.unwrap().locations[0], &run.error_message), (location, error));
        assert_eq!(run.completed_at.unwrap().to_string(), "9999-12-31T23:59:59.999999Z");
    }
    windrow.stop().await;
}

fn import(dir: &Path, url: &str) {
    std::fs::write(dir.join("windrow.toml"), "[sources.quick]\nkind = \"sample\"\n").unwrap();
    let mut command = program::command("windrow-server");
    let flags = ["import", "--database-url", url, "jobs.json"];
    run(command.args(flags).current_dir(dir));
}
