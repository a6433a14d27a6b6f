//! The sizes by which pages are cut are never below those of the messages.

use chrono::DateTime;
use proptest::prelude::*;
use prost::Message;
use serde_json::{Map, Value, json};
use windrow::json::to_struct;

use super::attempts::to_lease;
use super::convert::to_run;
use crate::domain::parameters::ScrapeParameters;
use crate::domain::policy::RunPolicy;
use crate::domain::property::size_of_object;
use crate::domain::run::{FailedLocation, NewRun, Origin, Priority, Run};
use crate::domain::size::{MESSAGE, Size};

/// A run with every text at its limit, in characters of four bytes.
fn largest_run() -> Run {
    let locations: Vec<String> = (0..1_000).map(|n| format!("{n}{}", "🏠".repeat(196))).collect();
    let label = |n: usize| (format!("{n:0>63}"), "🏠".repeat(63));
    let new = NewRun {
        origin: Origin::Immediate,
        scheduled_job_id: None,
        original_job_id: None,
        priority: Priority::Normal,
        parameters: ScrapeParameters { locations: locations.clone(), ..Default::default() },
        requested_by: String::new(),
        labels: (0..64).map(label).collect(),
        tick_at: None,
        available_at: None,
        queued: false,
        policy: RunPolicy::default(),
    };
    let mut run = Run::new(new, DateTime::UNIX_EPOCH, 1);
    let reason = "🏠".repeat(300);
    let failed = |location| FailedLocation { location, reason: reason.clone(), permanent: true };
    run.state.progress.failed = locations.into_iter().map(failed).collect();
    run
}

#[test]
fn the_largest_run_and_its_lease_fit_into_a_message() {
    let run = largest_run();
    assert!(to_run(&run).encoded_len() <= run.size());
    assert!(run.size() <= MESSAGE, "{}", run.size());
    let mut leased = run;
    leased.state.progress.failed.clear();
    let lease = to_lease(&leased, DateTime::UNIX_EPOCH);
    assert!(lease.encoded_len() <= 2 * leased.size());
    assert!(2 * leased.size() <= MESSAGE, "{}", leased.size());
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-9_007_199_254_740_993_i64..9_007_199_254_740_993).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,200}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 200, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
            prop::collection::btree_map(".{0,20}", inner, 0..20)
                .prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    })
}

proptest! {
    #[test]
    fn the_size_of_a_body_is_that_of_its_message(value in value()) {
        let body = Map::from_iter([("field".to_owned(), value)]);
        let size = size_of_object(&body);
        let actual = to_struct(body).encoded_len();
        // A large integer is sent as its digits, of which the size counts the maximum number.
        prop_assert!(actual <= size, "{actual} > {size}");
        prop_assert!(size <= 2 * actual, "{size} > 2 * {actual}");
    }
}

#[test]
fn the_size_of_a_large_body_is_exact() {
    let body = json!({
        "numbers": vec![0.5; 10_000], "texts": vec!["x".repeat(300); 100], "nothing": null,
        "long": "x".repeat(100_000),
    });
    let Value::Object(body) = body else { panic!("not an object") };
    assert_eq!(size_of_object(&body), to_struct(body).encoded_len());
}
