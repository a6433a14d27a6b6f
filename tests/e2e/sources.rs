//! Real input: 21,597 house sales of King County by ZIP code, through a program as source.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use windrow_client::proto;
use windrow_server::sources::{ExecSettings, SourceSettings};

use crate::support::{Windrow, job, statuses};
use proto::ScrapingJobStatus as Status;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/scripts");

#[tokio::test]
async fn all_sales_of_king_county_are_scraped_once_and_found_unchanged_the_second_time() {
    let dir = tempfile::tempdir().unwrap();
    let sales = sales(dir.path());
    let zip_codes = zip_codes(&sales);
    assert_eq!(zip_codes.len(), 70);
    let windrow = Windrow::start_with(|config| {
        let settings = ExecSettings {
            command: vec!["python3".to_owned(), format!("{SCRIPTS}/king_county.py")],
            timeout: Duration::from_mins(2),
            working_dir: None,
            environment: [("WINDROW_SALES_CSV".to_owned(), sales.display().to_string())].into(),
        };
        config.sources.insert("king_county".to_owned(), SourceSettings::Exec(settings));
    })
    .await;
    let parameters = proto::ScrapeParameters {
        locations: zip_codes,
        request_delay: Some(prost_types::Duration::default()),
        source: Some("king_county".to_owned()),
        ..Default::default()
    };
    let sales = proto::ScheduledJob { parameters: Some(parameters), ..job("king_county_sales") };
    windrow.create_as(sales).await.unwrap();

    let first = windrow.story(&windrow.trigger("king_county_sales").await.job_id).await;
    let second = windrow.end(&windrow.trigger("king_county_sales").await.job_id).await;

    assert_eq!(statuses(&first), [Status::Pending, Status::Running, Status::Completed]);
    assert_eq!(counts(first.last().unwrap()), [21_597, 21_420, 0, 177]);
    assert_eq!(counts(&second), [21_597, 0, 21_420, 177]);
    for run in [first.last().unwrap(), &second] {
        assert_eq!((run.completed_locations, run.failed_locations.len()), (70, 0));
    }
    assert_eq!(windrow.get_job("king_county_sales").await.run_count, 2);
    windrow.stop().await;
}

fn counts(run: &proto::ScrapingJob) -> [i64; 4] {
    [run.properties_scraped, run.properties_saved, run.properties_skipped, run.properties_duplicate]
}

/// The real file if there is one, else one of the same shape.
fn sales(dir: &std::path::Path) -> PathBuf {
    if let Some(file) = std::env::var_os("WINDROW_SALES_CSV") {
        return file.into();
    }
    let file = dir.join("sales.csv");
    let generated = Command::new("python3")
        .arg(format!("{SCRIPTS}/generate_sales.py"))
        .arg(&file)
        .status()
        .unwrap();
    assert!(generated.success());
    eprintln!("WINDROW_SALES_CSV is not set: the sales are generated, not real");
    file
}

fn zip_codes(sales: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(sales).unwrap();
    let mut lines = text.lines();
    let header = lines.next().unwrap().split(',').map(|name| name.trim_matches('"'));
    let column = header.into_iter().position(|name| name == "zipcode").unwrap();
    let zip_code = |line: &str| line.split(',').nth(column).unwrap().trim_matches('"').to_owned();
    let zip_codes: BTreeSet<String> = lines.map(zip_code).collect();
    zip_codes.into_iter().collect()
}
