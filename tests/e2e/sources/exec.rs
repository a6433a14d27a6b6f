//! Programs as sources: the example of the repository, and 21,597 house sales of King County.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use windrow_client::proto;
use windrow_server::sources::{ExecSettings, SourceSettings};

use crate::support::{Windrow, job, program, statuses};
use proto::ScrapingJobStatus as Status;

/// Limit of the wait for a run that starts 70 programs one after the other. It says nothing about speed.
const RUN_PATIENCE: Duration = Duration::from_mins(10);
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/scripts");

#[test]
fn the_example_source_works_as_written() {
    let output = program::command("windrow-server")
        .args(["--config", "server/examples/exec/windrow.toml"])
        .args(["source", "check", "houses", "--location", "98001"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let rows = String::from_utf8_lossy(&output.stdout);
    assert_eq!((output.status.code(), rows.lines().count()), (Some(0), 20), "{output:?}");
}

#[tokio::test]
async fn repeated_runs_count_new_unchanged_and_changed_sales() {
    let dir = tempfile::tempdir().unwrap();
    let sales = sales(dir.path());
    let table = read(&sales);
    let zip_codes = zip_codes(&table);
    assert_eq!(zip_codes.len(), 70);
    let windrow = Windrow::start_with(|config| {
        let settings = ExecSettings {
            command: vec!["python3".to_owned(), format!("{SCRIPTS}/king_county.py")],
            timeout: Duration::from_mins(2),
            environment: [("WINDROW_SALES_CSV".to_owned(), sales.display().to_string())].into(),
            ..ExecSettings::default()
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
    let job = proto::ScheduledJob { parameters: Some(parameters), ..job("king_county_sales") };
    windrow.create_as(job).await.unwrap();

    let run = async || {
        let id = windrow.trigger("king_county_sales").await.job_id;
        windrow.story_within(&id, RUN_PATIENCE).await
    };
    let first = run().await;
    let second = run().await.pop().unwrap();
    let changed = change_prices(table, 100, &sales);
    let third = run().await.pop().unwrap();

    assert_eq!(statuses(&first), [Status::Pending, Status::Running, Status::Completed]);
    assert_eq!(counts(first.last().unwrap()), [21_597, 21_420, 0, 177]);
    assert_eq!(counts(&second), [21_597, 0, 21_420, 177]);
    assert_eq!(counts(&third), [21_597, 100, 21_320, 177]);
    assert_eq!((third.properties_updated, third.properties_inserted), (100, 0));
    for run in [first.last().unwrap(), &second, &third] {
        assert_eq!((run.completed_locations, run.failed_locations.len()), (70, 0));
    }
    assert_eq!(windrow.get_job("king_county_sales").await.run_count, 3);
    for (id, (old, new)) in changed {
        assert_eq!(history(&windrow, &id, &third.job_id).await, vec![(old, new)], "{id}");
    }
    windrow.stop().await;
}

fn counts(run: &proto::ScrapingJob) -> [i64; 4] {
    [run.properties_scraped, run.properties_saved, run.properties_skipped, run.properties_duplicate]
}

/// The prices, old and new, of a property's only change, which the run made.
async fn history(windrow: &Windrow, id: &str, run: &str) -> Vec<(f64, f64)> {
    let request = proto::GetPropertyRequest {
        source: "king_county".to_owned(),
        property_id: id.to_owned(),
        limit: 0,
        ..Default::default()
    };
    let found = windrow.client.raw().get_property(request).await.unwrap();
    assert_eq!(found.total_changes, 1);
    let change = found.changes.into_iter().next().unwrap();
    assert_eq!(change.job_id, run);
    let price = |value: Option<prost_types::Value>| match value.and_then(|value| value.kind) {
        Some(prost_types::value::Kind::NumberValue(price)) => price,
        other => panic!("{other:?} is no price"),
    };
    assert!(change.fields.iter().all(|field| field.field == "price"), "{:?}", change.fields);
    change.fields.into_iter().map(|f| (price(f.old_value), price(f.new_value))).collect()
}

/// Raises the prices of some houses, spread over the file, in the rows that name them first.
fn change_prices(mut table: Table, count: usize, file: &Path) -> BTreeMap<String, (f64, f64)> {
    let (id, price) = (table.column("id"), table.column("price"));
    let mut seen = BTreeSet::new();
    let first: Vec<&mut Vec<String>> =
        table.rows.iter_mut().filter(|row| seen.insert(row[id].clone())).collect();
    let every = first.len() / count;
    let mut changed = BTreeMap::new();
    for row in first.into_iter().step_by(every).take(count) {
        let old: f64 = row[price].parse().unwrap();
        row[price] = (old + 1_000.0).to_string();
        changed.insert(row[id].clone(), (old, old + 1_000.0));
    }
    assert_eq!(changed.len(), count);
    let lines = std::iter::once(&table.header).chain(&table.rows).map(|row| row.join(","));
    std::fs::write(file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    changed
}

/// A copy of the real file if there is one, else one of the same shape.
fn sales(dir: &Path) -> PathBuf {
    let file = dir.join("sales.csv");
    if let Some(real) = std::env::var_os("WINDROW_SALES_CSV") {
        std::fs::copy(real, &file).unwrap();
        return file;
    }
    let generated = Command::new("python3")
        .arg(format!("{SCRIPTS}/generate_sales.py"))
        .arg(&file)
        .status()
        .unwrap();
    assert!(generated.success());
    eprintln!("WINDROW_SALES_CSV is not set: the sales are generated, not real");
    file
}

/// A CSV file without commas in its values.
struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn column(&self, name: &str) -> usize {
        self.header.iter().position(|column| column == name).unwrap()
    }
}

fn read(file: &Path) -> Table {
    let text = std::fs::read_to_string(file).unwrap();
    let values = |line: &str| line.split(',').map(|v| v.trim_matches('"').to_owned()).collect();
    let mut rows = text.lines().map(values);
    Table { header: rows.next().unwrap(), rows: rows.collect() }
}

fn zip_codes(table: &Table) -> Vec<String> {
    let column = table.column("zipcode");
    let zip_codes: BTreeSet<String> = table.rows.iter().map(|row| row[column].clone()).collect();
    zip_codes.into_iter().collect()
}
