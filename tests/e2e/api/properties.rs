//! Properties: lists, history and export.

use std::time::Duration;

use futures::TryStreamExt;
use windrow_client::{Error, proto};
use windrow_server::sources::{ExecSettings, SourceSettings};

use crate::support::{QUICK, Windrow, job, parameters};
use proto::ListingType;

/// Source that reads the file of a location.
const FILE: &str = "file";

/// A source that prints `PLACE.jsonl` for the location `PLACE`.
fn file_source(dir: &std::path::Path) -> SourceSettings {
    SourceSettings::Exec(ExecSettings {
        command: ["sh", "-c", "cat \"$WINDROW_LOCATION.jsonl\""].map(str::to_owned).to_vec(),
        timeout: Duration::from_mins(1),
        working_dir: Some(dir.to_owned()),
        ..ExecSettings::default()
    })
}

async fn start(dir: &std::path::Path) -> Windrow {
    Windrow::start_with(|config| {
        config.sources.insert(FILE.to_owned(), file_source(dir));
    })
    .await
}

async fn create(windrow: &Windrow, id: &str, places: &[&str]) {
    let parameters = proto::ScrapeParameters {
        locations: places.iter().map(ToString::to_string).collect(),
        listing_types: Vec::new(),
        request_delay: Some(prost_types::Duration::default()),
        ..parameters(FILE)
    };
    let job = proto::ScheduledJob { parameters: Some(parameters), ..job(id) };
    windrow.create_as(job).await.unwrap();
}

async fn run(windrow: &Windrow, id: &str) -> proto::ScrapingJob {
    windrow.end(&windrow.trigger(id).await.job_id).await
}

async fn ids(windrow: &Windrow, filter: proto::PropertyFilter) -> Vec<String> {
    let listed = windrow.client.list_properties().filter(filter).await.unwrap();
    assert_eq!(usize::try_from(listed.total).unwrap(), listed.properties.len());
    listed.properties.into_iter().map(|property| property.property_id).collect()
}

fn text(property: &proto::Property, field: &str) -> String {
    serde_json::to_string(&json(property.body.as_ref().unwrap().fields.get(field))).unwrap()
}

fn json(value: Option<&prost_types::Value>) -> serde_json::Value {
    use prost_types::value::Kind;
    match value.and_then(|value| value.kind.as_ref()) {
        Some(Kind::NumberValue(number)) => serde_json::json!(number),
        Some(Kind::StringValue(text)) => serde_json::json!(text),
        Some(Kind::BoolValue(is)) => serde_json::json!(is),
        Some(Kind::NullValue(_) | Kind::ListValue(_) | Kind::StructValue(_)) | None => {
            serde_json::Value::Null
        }
    }
}

#[tokio::test]
async fn a_property_has_its_runs_and_its_changes() {
    let dir = tempfile::tempdir().unwrap();
    let windrow = start(dir.path()).await;
    create(&windrow, "job", &["north"]).await;
    let write = |rows: &str| std::fs::write(dir.path().join("north.jsonl"), rows).unwrap();
    write(
        "{\"property_id\": \"1\", \"price\": 100, \"status\": \"open\", \"big\": 9007199254740993}\n",
    );
    let first = run(&windrow, "job").await;
    write("{\"property_id\": \"1\", \"price\": 90, \"big\": 9007199254740993, \"pool\": true}\n");
    let second = run(&windrow, "job").await;
    let third = run(&windrow, "job").await;

    let request = proto::GetPropertyRequest {
        source: FILE.to_owned(),
        property_id: "1".to_owned(),
        limit: 0,
        ..Default::default()
    };
    let found = windrow.client.raw().get_property(request).await.unwrap();

    let counts = |run: &proto::ScrapingJob| {
        (run.properties_inserted, run.properties_updated, run.properties_skipped)
    };
    assert_eq!([&first, &second, &third].map(counts), [(1, 0, 0), (0, 1, 0), (0, 0, 1)]);
    let property = found.property.unwrap();
    assert_eq!((&property.first_job_id, &property.last_job_id), (&first.job_id, &third.job_id));
    assert!(property.first_seen_at.unwrap().seconds <= property.changed_at.unwrap().seconds);
    assert_eq!(
        (property.location.as_str(), property.listing_type()),
        ("north", ListingType::Unspecified)
    );
    assert_eq!(
        (text(&property, "price"), text(&property, "big")),
        ("90.0".into(), "\"9007199254740993\"".into())
    );
    assert_eq!((found.changes.len(), found.total_changes), (1, 1));
    let change = &found.changes[0];
    assert_eq!((&change.job_id, change.changed_at), (&second.job_id, property.changed_at));
    let fields: Vec<_> = change
        .fields
        .iter()
        .map(|f| (f.field.as_str(), json(f.old_value.as_ref()), json(f.new_value.as_ref())))
        .collect();
    let null = || serde_json::Value::Null;
    assert_eq!(
        fields,
        [
            ("pool", null(), true.into()),
            ("price", 100.0.into(), 90.0.into()),
            ("status", "open".into(), null()),
        ]
    );
    windrow.stop().await;
}

#[tokio::test]
async fn properties_are_filtered_by_job_run_location_listing_type_and_change() {
    let dir = tempfile::tempdir().unwrap();
    let windrow = start(dir.path()).await;
    let write = |place: &str, rows: &[(&str, i32, &str)]| {
        let line = |(id, price, kind): &(&str, i32, &str)| {
            format!(
                "{{\"property_id\": \"{id}\", \"price\": {price}, \"listing_type\": \"{kind}\"}}\n"
            )
        };
        let rows: String = rows.iter().map(line).collect();
        std::fs::write(dir.path().join(format!("{place}.jsonl")), rows).unwrap();
    };
    write("north", &[("n1", 1, "sold"), ("n2", 1, "FOR_RENT")]);
    write("south", &[("s1", 1, "sold")]);
    create(&windrow, "north", &["north"]).await;
    create(&windrow, "both", &["north", "south"]).await;
    let first = run(&windrow, "north").await;
    run(&windrow, "both").await;
    windrow.create("samples").await;
    run(&windrow, "samples").await;
    write("north", &[("n1", 2, "sold"), ("n2", 1, "FOR_RENT")]);
    let last = run(&windrow, "north").await;

    let filter = proto::PropertyFilter::default();
    let check = async |filter: proto::PropertyFilter, expected: &[&str]| {
        assert_eq!(ids(&windrow, filter).await, expected);
    };
    let (of, job) = (FILE.to_owned(), |id: &str| id.to_owned());
    check(proto::PropertyFilter { source: of.clone(), ..filter.clone() }, &["n1", "n2", "s1"])
        .await;
    check(
        proto::PropertyFilter { scheduled_job_id: job("north"), ..filter.clone() },
        &["n1", "n2"],
    )
    .await;
    check(
        proto::PropertyFilter { scheduled_job_id: job("both"), ..filter.clone() },
        &["n1", "n2", "s1"],
    )
    .await;
    check(proto::PropertyFilter { job_id: first.job_id.clone(), ..filter.clone() }, &["n1", "n2"])
        .await;
    let both = proto::PropertyFilter {
        job_id: first.job_id.clone(),
        scheduled_job_id: job("both"),
        ..filter.clone()
    };
    check(both, &[]).await;
    check(proto::PropertyFilter { location: job("south"), ..filter.clone() }, &["s1"]).await;
    let sold = proto::PropertyFilter {
        listing_type: ListingType::Sold.into(),
        source: of,
        ..filter.clone()
    };
    check(sold, &["n1", "s1"]).await;
    let changed = proto::PropertyFilter { changed_since: last.started_at, ..filter };
    check(changed, &["n1"]).await;
    windrow.stop().await;
}

#[tokio::test]
async fn pages_and_exports_have_each_property_once_and_in_order() {
    const ROWS: usize = 1_201;
    let dir = tempfile::tempdir().unwrap();
    let windrow = start(dir.path()).await;
    let row = |n: usize| format!("{{\"property_id\": \"{n:05}\", \"n\": {n}}}");
    let rows: Vec<String> = (0..ROWS).map(row).collect();
    std::fs::write(dir.path().join("all.jsonl"), rows.join("\n")).unwrap();
    create(&windrow, "job", &["all"]).await;
    let expected: Vec<String> = (0..ROWS).map(|n| format!("{n:05}")).collect();
    let ended = run(&windrow, "job").await;

    for filter in [
        proto::PropertyFilter::default(),
        proto::PropertyFilter { scheduled_job_id: "job".to_owned(), ..Default::default() },
        proto::PropertyFilter { job_id: ended.job_id.clone(), ..Default::default() },
    ] {
        let exported = windrow.client.export_properties().filter(filter.clone()).stream();
        let exported: Vec<String> =
            exported.map_ok(|property| property.property_id).try_collect().await.unwrap();
        assert_eq!(exported, expected);
        let list = windrow.client.list_properties().filter(filter).page_size(500);
        assert_eq!(list.clone().await.unwrap().total, i64::try_from(ROWS).unwrap());
        let paged = list.stream().map_ok(|property| property.property_id);
        assert_eq!(paged.try_collect::<Vec<_>>().await.unwrap(), expected);
    }
    windrow.stop().await;
}

#[tokio::test]
async fn an_invalid_property_filter_is_rejected_with_its_field() {
    let windrow = Windrow::start().await;
    let list = async |filter: proto::PropertyFilter| {
        windrow.client.list_properties().filter(filter).await.unwrap_err()
    };
    let field = |error: &Error| error.field_violations()[0].field.clone();
    let filter = proto::PropertyFilter::default;

    let bad_job =
        list(proto::PropertyFilter { scheduled_job_id: "A b".to_owned(), ..filter() }).await;
    let bad_kind = list(proto::PropertyFilter { listing_type: 99, ..filter() }).await;
    let no_job =
        list(proto::PropertyFilter { scheduled_job_id: "none".to_owned(), ..filter() }).await;
    let no_run = list(proto::PropertyFilter { job_id: "none".to_owned(), ..filter() }).await;
    let no_property = windrow.client.get_property(QUICK, "none").await.unwrap_err();
    let no_source = windrow.client.get_property("", "").await;
    let mut export = windrow
        .client
        .export_properties()
        .filter(proto::PropertyFilter { job_id: "none".to_owned(), ..filter() })
        .stream();
    let no_export = export.try_next().await.unwrap_err();

    assert_eq!(field(&bad_job), "filter.scheduled_job_id");
    assert_eq!(field(&bad_kind), "filter.listing_type");
    assert_eq!(field(&no_source.unwrap_err()), "source");
    for (error, reason) in [
        (no_job, "SCHEDULED_JOB_NOT_FOUND"),
        (no_run, "RUN_NOT_FOUND"),
        (no_property, "PROPERTY_NOT_FOUND"),
        (no_export, "RUN_NOT_FOUND"),
    ] {
        assert_eq!(error.reason(), Some(reason));
    }
    windrow.stop().await;
}
