//! Tests of the sources, with real programs.

mod exec;
mod kill;

use std::time::{Duration, Instant};

use serde::Deserialize as _;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use windrow_worker::{Found, TaskOutput};

use super::*;

/// The result of a location and its log.
#[derive(Debug)]
struct Outcome {
    result: Result<(), SourceError>,
    log: Vec<String>,
}

pub(super) fn request() -> ScrapeRequest {
    ScrapeRequest {
        job_id: "job-1".to_owned(),
        attempt: 2,
        scheduled_job_id: None,
        origin: "SCHEDULE".to_owned(),
        tick_at: None,
        reference_time: "2025-01-02T03:04:05Z".parse().unwrap(),
        location: "Dallas, TX".to_owned(),
        parameters: json!({"listing_types": ["SOLD"]}),
        listing_types: vec!["SOLD".to_owned()],
        limit: 100,
        changed_since: None,
    }
}

fn shell(script: &str) -> ExecSettings {
    ExecSettings {
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        timeout: Duration::from_secs(30),
        ..ExecSettings::default()
    }
}

fn source(settings: SourceSettings) -> Arc<dyn Source> {
    let settings = BTreeMap::from([("it".to_owned(), settings)]);
    SourceRegistry::from_settings(&settings).unwrap().get("it").unwrap()
}

/// Scrapes one location to its end.
async fn scrape(settings: SourceSettings, request: ScrapeRequest) -> (Vec<Property>, Outcome) {
    let (task, output) = Task::new(request);
    let (source, stop) = (source(settings), CancellationToken::new());
    let scraping = windrow_worker::scrape(source.as_ref(), task, &stop);
    let (result, (properties, log)) = tokio::join!(scraping, collect(output));
    (properties, Outcome { result, log })
}

pub(super) async fn collect(mut output: TaskOutput) -> (Vec<Property>, Vec<String>) {
    let (mut properties, mut log) = (Vec::new(), Vec::new());
    while let Some(found) = output.next().await {
        match found {
            Found::Property(property) => properties.push(property),
            Found::Line(line) => log.push(line.text),
        }
    }
    (properties, log)
}

async fn run(script: &str) -> (Vec<Property>, Outcome) {
    scrape(SourceSettings::Exec(shell(script)), request()).await
}

fn ids(properties: &[Property]) -> Vec<&str> {
    properties.iter().map(|property| property.id.as_str()).collect()
}

fn failed(outcome: &Outcome) -> &str {
    match &outcome.result {
        Err(SourceError::Failed { reason, .. }) => reason,
        other => panic!("expected a failed location, not {other:?}"),
    }
}

fn quick_sample() -> SourceSettings {
    SourceSettings::Sample(SampleSettings { pace: Duration::ZERO, ..SampleSettings::default() })
}

#[tokio::test]
async fn a_sample_is_the_same_each_time_and_differs_by_location_and_type() {
    let (first, outcome) = scrape(quick_sample(), request()).await;
    assert_eq!((outcome.result, first.len()), (Ok(()), 20));
    assert_eq!(first, scrape(quick_sample(), request()).await.0);
    assert!(first.iter().all(|row| row.body["sample"] == true && row.body["city"] == "Dallas"));
    // Must never change, or every stored sample listing would become a new one.
    assert_eq!(first[0].id, "sample-d732fa20e681fd6f");
    let elsewhere = ScrapeRequest { location: "Austin, TX".to_owned(), ..request() };
    let both = vec!["SOLD".to_owned(), "PENDING".to_owned(), "SOLD".to_owned()];
    let more_types = ScrapeRequest { listing_types: both, limit: 4, ..request() };
    let elsewhere = scrape(quick_sample(), elsewhere).await.0;
    assert!(ids(&elsewhere).iter().all(|id| !ids(&first).contains(id)));
    let more_types = scrape(quick_sample(), more_types).await.0;
    assert_eq!((&more_types[0], &more_types[2]), (&first[0], &first[1]));
    assert_eq!(more_types[1].body["listing_type"], "PENDING");
    assert_eq!(more_types.len(), 4);
}

#[tokio::test]
async fn a_sample_stops_between_two_listings() {
    let pace = Duration::from_mins(1);
    let settings = SampleSettings { pace, ..SampleSettings::default() };
    let source = source(SourceSettings::Sample(settings));
    let (task, mut output) = Task::new(request());
    let stop = CancellationToken::new();
    let start = Instant::now();
    let stopping = async {
        output.next().await.unwrap();
        stop.cancel();
    };
    let scraping = windrow_worker::scrape(source.as_ref(), task, &stop);
    let (result, ()) = tokio::join!(scraping, stopping);
    assert_eq!(result, Err(SourceError::Stopped));
    assert!(start.elapsed() < Duration::from_secs(1));
}

fn parsed(text: &str) -> Result<SourceSettings, String> {
    let mut table: toml::Table = toml::from_str(text).unwrap();
    let kind = table.remove("kind").unwrap();
    let read = SourceKind::deserialize(kind).and_then(|kind| kind.read(table));
    let settings = read.map_err(|error| error.to_string())?;
    settings.validate().map(|()| settings)
}

#[test]
fn settings_are_read_with_their_defaults() {
    let exec = parsed("kind = 'exec'\ncommand = ['sh']\ntimeout = '90s'").unwrap();
    let SourceSettings::Exec(exec) = exec else { panic!("not exec") };
    assert_eq!((exec.timeout, exec.working_dir), (Duration::from_secs(90), None));
    let sample = parsed("kind = 'sample'").unwrap();
    assert_eq!(sample, SourceSettings::Sample(SampleSettings::default()));
    let paced = parsed("kind = 'sample'\npace = '1ms'\nlistings_per_location = 5").unwrap();
    let expected = SampleSettings { listings_per_location: 5, pace: Duration::from_millis(1) };
    assert_eq!(paced, SourceSettings::Sample(expected));
}

#[test]
fn invalid_settings_are_rejected() {
    let check = |text: &str, expected: &str| {
        let error = parsed(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    };
    check("kind = 'exec'\ncommand = []", "command must name a program");
    check("kind = 'exec'\ncommand = ['']", "command must name a program");
    check("kind = 'exec'\ncommand = ['x']\ntimeout = '0s'", "timeout must be");
    check("kind = 'exec'\ncommand = ['x']\ntimeout = 'soon'", "\"soon\" is not a duration");
    check("kind = 'exec'\ncommand = ['x']\nenvironment = {'a=b' = 'c'}", "is malformed");
    check("kind = 'exec'\ncommand = ['x']\npass_environment = ['a=b']", "\"a=b\" is not the name");
    check("kind = 'exec'\ncommand = ['x']\nmax_memory = '1KiB'", "at least 1MiB");
    check("kind = 'exec'\ncommand = ['x']\nmax_memory = 'much'", "\"much\" is not a size");
    check("kind = 'exec'\ncommand = ['x']\nmax_processes = 5", "needs the key user");
    check("kind = 'exec'\ncommand = ['x']\nuser = 'nobody'\nmax_processes = 0", "at least 1");
    check("kind = 'exec'\ncommand = ['x']\nshell = true", "unknown field `shell`");
    check("kind = 'sample'\nspeed = 3", "unknown field `speed`");
    check("kind = 'sample'\nlistings_per_location = 10001", "at most 10000");
    check("kind = 'ftp'", "unknown variant `ftp`");
}

#[test]
fn the_registry_always_has_the_sample() {
    let settings = BTreeMap::from([("a".to_owned(), SourceSettings::Exec(shell("")))]);
    let registry = SourceRegistry::from_settings(&settings).unwrap();
    assert_eq!(registry.names(), ["a", "sample"]);
    let worker = SourceSettings::Worker(WorkerSettings::default());
    let misnamed = SourceRegistry::from_settings(&BTreeMap::from([(SAMPLE.to_owned(), worker)]));
    assert!(misnamed.unwrap_err().to_string().contains("kind must be \"sample\""));
    assert!(registry.get("a").is_some() && registry.get("sample").is_some());
    assert!(registry.get("b").is_none());
    let nameless = BTreeMap::from([(String::new(), quick_sample())]);
    assert!(SourceRegistry::from_settings(&nameless).is_err());
}
