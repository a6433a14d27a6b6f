//! Concurrent runs that write the same properties: every change is counted once and is in the history.

use futures::future::try_join_all;
use serde_json::{Map, json};
use windrow_server::app::{App, IgnoredFields};
use windrow_server::domain::property::PropertyFilter;
use windrow_server::domain::run::{Counts, Run};
use windrow_worker::{AttemptUpdate, Property, Report, ScrapedProperty};

use crate::support::{World, create, holder, lease_many, trigger};

const RUNS: usize = 8;
const PROPERTIES: i64 = 60;

/// The same properties for each run, with a price and an order of its own.
fn report(run: usize) -> Report {
    let row = |number: i64| ScrapedProperty {
        location: "Indianapolis, IN".to_owned(),
        property: Property::new(
            format!("{number:03}"),
            Map::from_iter([("price".to_owned(), json!(run % 3))]),
        ),
    };
    let mut rows: Vec<ScrapedProperty> = (0..PROPERTIES).map(row).collect();
    rows.rotate_left(run * 7);
    Report { scraped_before: 0, properties: rows, update: AttemptUpdate::default() }
}

async fn submit(app: &App, number: usize, run: &Run) -> Counts {
    app.submit_properties(&holder(run), report(number)).await.unwrap().state.counts
}

#[tokio::test]
async fn runs_that_write_the_same_properties_count_every_change_once() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    for _ in 0..RUNS {
        trigger(&app, "job", None).await;
    }
    let count = i64::try_from(RUNS).unwrap();
    let runs = lease_many(&app, "worker", RUNS).await;
    assert_eq!(runs.len(), RUNS);

    let submitted = runs.iter().enumerate().map(|(number, run)| {
        let app = &app;
        async move { Ok::<_, std::convert::Infallible>(submit(app, number, run).await) }
    });
    let counts: Vec<Counts> = try_join_all(submitted).await.unwrap();

    let total = counts.iter().copied().fold(Counts::default(), |sum, more| sum + more);
    assert_eq!(total.scraped, count * PROPERTIES);
    assert_eq!((total.saved - total.updated, total.duplicate), (PROPERTIES, 0), "{counts:#?}");
    assert!(total.updated > 0, "no two runs wrote the same property: {counts:#?}");
    let page = app.list_properties(PropertyFilter::default(), 1_000).await.unwrap();
    let mut changes = 0;
    for property in &page.items {
        let detail =
            app.get_property(&property.source, &property.property_id, None, 1_000).await.unwrap();
        // Each change starts from the value that the previous one left, back to the first one.
        let mut price = &detail.property.body["price"];
        for change in &detail.changes.items {
            assert_eq!(change.fields[0].new.as_ref(), Some(price), "{detail:#?}");
            price = change.fields[0].old.as_ref().unwrap();
        }
        changes += detail.property.change_count;
    }
    assert_eq!(i64::try_from(page.items.len()).unwrap(), PROPERTIES);
    assert_eq!(changes, total.updated);
}

fn listing(price: i32, days: i32) -> Report {
    let body = [("price".to_owned(), json!(price)), ("days".to_owned(), json!(days))];
    let property = Property::new("a", Map::from_iter(body));
    let row = ScrapedProperty { location: "Indianapolis, IN".to_owned(), property };
    Report { scraped_before: 0, properties: vec![row], update: AttemptUpdate::default() }
}

/// Submits the listing in a run of its own; returns its counts and the stored price, days and changes.
async fn submit_listing(app: &App, price: i32, days: i32) -> (Counts, Vec<String>, i64) {
    trigger(app, "job", None).await;
    let run = lease_many(app, "worker", 1).await.remove(0);
    let counts = app.submit_properties(&holder(&run), listing(price, days)).await.unwrap();
    let detail = app.get_property("sample", "a", None, 10).await.unwrap();
    let body = &detail.property.body;
    let values = [&body["price"], &body["days"]].map(ToString::to_string).to_vec();
    let changed = detail.changes.items.iter().flat_map(|change| &change.fields);
    assert!(changed.clone().all(|field| field.field != "days"), "{detail:#?}");
    (counts.state.counts, values, detail.property.change_count)
}

#[tokio::test]
async fn ignored_fields_are_stored_but_do_not_count_as_a_change() {
    let world = World::new().await;
    let app = world.app().await;
    create(&app, "job").await;
    submit_listing(&app, 1, 1).await;
    let ignored = IgnoredFields::new(["days".to_owned()].into());
    let app = app.with_ignored_fields([("sample".to_owned(), ignored)].into());

    for days in [1, 2, 3] {
        let (counts, values, changes) = submit_listing(&app, 1, days).await;
        assert_eq!((counts.updated, counts.skipped, changes), (0, 1, 0), "day {days}");
        assert_eq!(values, ["1".to_owned(), days.to_string()]);
    }
    let (counts, values, changes) = submit_listing(&app, 2, 4).await;
    assert_eq!((counts.updated, values, changes), (1, vec!["2".to_owned(), "4".to_owned()], 1));
}
