//! `windrow-server source check`: scrapes one location with a source and shows what it gives.

use std::convert::Infallible;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use windrow_server::app::parameters_json;
use windrow_server::cli::SourceCheck;
use windrow_server::clock::SystemClock;
use windrow_server::domain::parameters::ScrapeParameters;
use windrow_server::domain::run::Origin;
use windrow_server::sources::{ScrapeOutcome, ScrapeRequest, ScrapedRow, SourceRegistry};

/// Rows that the source may be ahead of the terminal.
const ROWS_AHEAD: usize = 64;

/// Rows go to stdout; what the source logged and how it ended go to stderr. Fails if the source does.
pub(crate) async fn run(sources: &SourceRegistry, check: SourceCheck) -> io::Result<ExitCode> {
    let Some(source) = sources.get(&check.name) else {
        let known = sources.names().join(", ");
        writeln!(io::stderr(), "error: no source is named {:?}; there are: {known}", check.name)?;
        return Ok(ExitCode::FAILURE);
    };
    let begin = Instant::now();
    let stop = CancellationToken::new();
    let (sender, rows) = mpsc::channel(ROWS_AHEAD);
    // Ctrl-C stops the source's programs too, and not only this one.
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
        std::future::pending::<Infallible>().await
    };
    let scraped =
        async { tokio::join!(source.scrape(request(check), sender, stop.clone()), print(rows)) };
    let (outcome, printed) = tokio::select! {
        ended = scraped => ended,
        never = interrupted => match never {},
    };
    report(&outcome, printed?, begin)
}

fn request(check: SourceCheck) -> ScrapeRequest {
    let listing_types = check.listing_types.iter().map(|kind| kind.word().to_uppercase()).collect();
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

/// Prints rows as they come; returns how many. A closed stdout ends the check.
async fn print(mut rows: mpsc::Receiver<ScrapedRow>) -> io::Result<u64> {
    let mut count = 0;
    while let Some(row) = rows.recv().await {
        let mut fields = row.body;
        fields.insert("property_id".to_owned(), Value::String(row.property_id));
        writeln!(io::stdout(), "{}", Value::Object(fields))?;
        count += 1;
    }
    Ok(count)
}

fn report(outcome: &ScrapeOutcome, rows: u64, begin: Instant) -> io::Result<ExitCode> {
    let mut stderr = io::stderr();
    if !outcome.log.is_empty() {
        writeln!(stderr, "The source said:\n{}", outcome.log.trim_end())?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    match &outcome.result {
        Ok(()) => {
            writeln!(stderr, "{rows} rows in {seconds:.1} s")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            writeln!(stderr, "error: the location failed after {rows} rows: {error}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}
