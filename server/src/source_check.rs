//! `windrow-server source check`: scrapes one location with a source and prints the result.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use windrow_server::cli::SourceCheck;
use windrow_server::clock::SystemClock;
use windrow_server::domain::parameters::ScrapeParameters;
use windrow_server::domain::run::Origin;
use windrow_server::sources::{SourceRegistry, listing_type_name, parameters_json};
use windrow_worker::{Found, Property, ScrapeRequest, SourceError, Task, TaskOutput, scrape};

/// Prints properties to stdout; the log and the result to stderr. Fails if the location fails.
/// Cancelling `stop` also stops the source's programs.
pub(crate) async fn run(
    sources: &SourceRegistry,
    check: SourceCheck,
    stop: &CancellationToken,
) -> io::Result<ExitCode> {
    let Some(source) = sources.get(&check.name) else {
        writeln!(io::stderr(), "error: {}", not_executed(sources, &check.name))?;
        return Ok(ExitCode::FAILURE);
    };
    let begin = Instant::now();
    let (task, output) = Task::new(request(check));
    let (result, printed) = tokio::join!(scrape(source.as_ref(), task, stop), print(output));
    report(&result, printed?, begin)
}

fn not_executed(sources: &SourceRegistry, name: &str) -> String {
    let all = sources.names();
    if all.iter().any(|other| other == name) {
        return format!(
            "source {name:?} has the kind worker: workers on other machines execute its runs, so this \
             command cannot check it; start a worker for it, then trigger a run and read its log with \
             windrow runs logs RUN -f"
        );
    }
    let executed: Vec<String> = sources.executed().into_keys().collect();
    format!("no source is named {name:?}; this command can check: {}", executed.join(", "))
}

fn request(check: SourceCheck) -> ScrapeRequest {
    let listing_types = check.listing_types.iter().map(|kind| listing_type_name(*kind)).collect();
    let parameters = ScrapeParameters {
        locations: vec![check.location.clone()],
        listing_types: check.listing_types,
        limit: i32::try_from(check.limit).ok(),
        source: Some(check.name),
        ..ScrapeParameters::default()
    };
    ScrapeRequest {
        job_id: "check".to_owned(),
        attempt: 1,
        scheduled_job_id: None,
        origin: Origin::Immediate.to_string(),
        tick_at: None,
        reference_time: SystemClock::uncorrected(),
        location: check.location,
        parameters: parameters_json(&parameters),
        listing_types,
        limit: check.limit,
        changed_since: None,
    }
}

/// Prints properties and log lines as they come; returns the number of properties. A closed stdout ends
/// the check.
async fn print(mut output: TaskOutput) -> io::Result<u64> {
    let mut count = 0;
    while let Some(found) = output.next().await {
        match found {
            Found::Property(Property { id, mut body }) => {
                body.insert("property_id".to_owned(), Value::String(id));
                writeln!(io::stdout(), "{}", Value::Object(body))?;
                count += 1;
            }
            Found::Line(line) => writeln!(io::stderr(), "log: {}", line.text)?,
        }
    }
    Ok(count)
}

fn report(result: &Result<(), SourceError>, count: u64, begin: Instant) -> io::Result<ExitCode> {
    let mut stderr = io::stderr();
    let seconds = begin.elapsed().as_secs_f64();
    match result {
        Ok(()) => {
            writeln!(stderr, "{count} rows in {seconds:.1} s")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            writeln!(stderr, "error: the location failed after {count} rows: {error}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}
