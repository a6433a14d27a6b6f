//! `windrow jobs export`: its output changes nothing when it is applied.

use std::collections::BTreeSet;
use std::process::Output;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, Value};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use sqlx::{Connection as _, Executor as _, PgConnection};
use windrow_client::proto::{self, ScheduledJob};

use super::apply::{Try, said};
use crate::support::{QUICK, Windrow, program};

const JOBS: usize = 40;

/// Text that YAML reads as something else, or cannot hold without quotes.
const TEXTS: [&str; 44] = [
    "on",
    "No",
    "y",
    "null",
    "~",
    "true",
    "46220",
    "01234",
    "0x10",
    "0o17",
    "1e3",
    "1_000",
    "1.10",
    ".inf",
    "-",
    "12:30:45",
    "2026-12-01",
    "=",
    "<<",
    "? x",
    "a: b",
    "a #b",
    "#a",
    "- a",
    "[a]",
    "{a}",
    "{{ a }}",
    "*a",
    "&a",
    "!a",
    "|",
    ">",
    "%a",
    "@a",
    "`a`",
    "'",
    "\"",
    "\\n",
    "O'Fallon, IL",
    "Łódź 🏠",
    "...",
    "--- a",
    "a,b",
    "a:",
];

fn some<T>(rng: &mut StdRng, value: impl FnOnce(&mut StdRng) -> T) -> Option<T> {
    rng.random_bool(0.5).then(|| value(rng))
}

fn text(rng: &mut StdRng) -> String {
    TEXTS[rng.random_range(0..TEXTS.len())].to_owned()
}

fn duration(rng: &mut StdRng, seconds: i64) -> prost_types::Duration {
    let nanos = [0, 0, 500_000_000, 1_000, 999_999_000][rng.random_range(0..5)];
    prost_types::Duration { seconds: rng.random_range(2..seconds), nanos }
}

fn parameters(rng: &mut StdRng) -> proto::ScrapeParameters {
    let locations: BTreeSet<_> = (0..rng.random_range(1..4)).map(|_| text(rng)).collect();
    proto::ScrapeParameters {
        locations: locations.into_iter().collect(),
        listing_types: some(rng, |rng| vec![rng.random_range(1..5)]).unwrap_or_default(),
        past_days: some(rng, |rng| rng.random_range(1..3650)),
        radius: some(rng, |rng| [0.0, 5.0, 0.1, 1e-7, 99.999][rng.random_range(0..5)]),
        limit: some(rng, |rng| rng.random_range(1..10_000)),
        request_delay: some(rng, |rng| duration(rng, 60)),
        source: Some(QUICK.to_owned()),
        full_scrape: some(rng, |rng| rng.random_bool(0.5)),
    }
}

fn policy(rng: &mut StdRng) -> proto::RunPolicy {
    proto::RunPolicy {
        max_attempts: some(rng, |rng| rng.random_range(1..20)),
        initial_backoff: some(rng, |rng| duration(rng, 60)),
        backoff_factor: some(rng, |rng| rng.random_range(1.0..10.0)),
        max_backoff: some(rng, |rng| prost_types::Duration {
            seconds: rng.random_range(3600..86_400),
            nanos: 0,
        }),
        backoff_jitter: some(rng, |rng| rng.random_range(0.0..1.0)),
        attempt_timeout: some(rng, |rng| duration(rng, 7 * 86_400)),
        run_timeout: some(rng, |rng| duration(rng, 30 * 86_400)),
        lease_duration: some(rng, |rng| duration(rng, 600)),
    }
}

fn random_job(rng: &mut StdRng, number: usize) -> ScheduledJob {
    let crons =
        ["0 2 1 1 *", "@yearly", "@every 8784h", "*/5 0 1 1 *", "0 0 l 1 *", "0 0 * 1 mon#3"];
    ScheduledJob {
        scheduled_job_id: format!("job-{number}"),
        name: text(rng),
        cron_expression: crons[rng.random_range(0..crons.len())].to_owned(),
        timezone: ["", "UTC", "America/Denver"][rng.random_range(0..3)].to_owned(),
        priority: rng.random_range(0..5),
        labels: (0..rng.random_range(0..3)).map(|n| (format!("k{n}"), text(rng))).collect(),
        parameters: Some(parameters(rng)),
        policy: some(rng, policy),
        max_concurrent_runs: some(rng, |rng| rng.random_range(0..1000)).unwrap_or_default(),
        overlap: rng.random_range(0..5),
        catch_up: some(rng, |rng| proto::CatchUpPolicy {
            mode: rng.random_range(0..4),
            limit: some(rng, |rng| rng.random_range(1..1000)),
            window: some(rng, |rng| duration(rng, 366 * 86_400)),
            grace: some(rng, |rng| duration(rng, 86_400)),
        }),
        jitter: some(rng, |rng| duration(rng, 86_400)),
        ..Default::default()
    }
}

/// The settings that none of the jobs has, so that a new one cannot be left out of the test.
fn settings_without_value(jobs: &[ScheduledJob]) -> BTreeSet<String> {
    let pool = DescriptorPool::decode(windrow::FILE_DESCRIPTOR_SET).unwrap();
    let descriptor = pool.get_message_by_name("windrow.v1.ScheduledJob").unwrap();
    let mut paths = BTreeSet::new();
    let mut of_some = BTreeSet::new();
    for job in jobs {
        let message =
            DynamicMessage::decode(descriptor.clone(), &*prost::Message::encode_to_vec(job));
        collect(&descriptor, Some(&message.unwrap()), "", &mut paths, &mut of_some);
    }
    paths.difference(&of_some).cloned().collect()
}

fn collect(
    descriptor: &MessageDescriptor,
    message: Option<&DynamicMessage>,
    parent: &str,
    all: &mut BTreeSet<String>,
    set: &mut BTreeSet<String>,
) {
    for field in descriptor.fields() {
        let file = field.parent_file().file_descriptor_proto().clone();
        let locations = file.source_code_info.unwrap().location;
        let comment =
            locations.iter().find(|it| it.path == field.path()).unwrap().leading_comments();
        if comment.trim_start().starts_with("Output only.") {
            continue;
        }
        let path = format!("{parent}{}", field.name());
        let value =
            message.filter(|it| it.has_field(&field)).map(|it| it.get_field(&field).into_owned());
        match field.kind().as_message() {
            Some(inner) if inner.package_name() == "windrow.v1" && !field.is_map() => {
                let inner_message = value.as_ref().and_then(Value::as_message);
                collect(inner, inner_message, &format!("{path}."), all, set);
            }
            _ => {
                set.extend(value.map(|_| path.clone()));
                all.insert(path);
            }
        }
    }
}

async fn run(address: &str, arguments: &[&str]) -> Output {
    let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
    let address = address.to_owned();
    let run = move || {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        program::windrow(&address, &arguments)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn applying_an_export_changes_nothing_and_copies_everything() {
    let seed =
        std::env::var("SEED").map_or_else(|_| rand::rng().next_u64(), |seed| seed.parse().unwrap());
    eprintln!("SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let jobs: Vec<_> = (0..JOBS).map(|number| random_job(&mut rng, number)).collect();
    assert_eq!(settings_without_value(&jobs), BTreeSet::new());
    let (windrow, copy) = (Windrow::start().await, Windrow::start().await);
    let (it, there) = (Try::new(&windrow), Try::new(&copy));
    for job in jobs {
        windrow.create_as(job.clone()).await.unwrap_or_else(|error| panic!("{error}: {job:#?}"));
    }

    for format in ["table", "yaml", "json"] {
        let exported = said(&run(&it.address, &["jobs", "export", "-o", format]).await, 0);
        let same = it.apply(&exported, &["--yes", "--detailed-exit-code"]).await;
        let unchanged = format!("{JOBS} unchanged");
        assert!(said(&same, 0).contains(&unchanged), "{exported}\n{same:?}");
    }
    let exported = said(&run(&it.address, &["jobs", "export"]).await, 0);
    said(&there.apply(&exported, &["--yes"]).await, 0);
    assert_eq!(said(&run(&there.address, &["jobs", "export"]).await, 0), exported);
    windrow.stop().await;
    copy.stop().await;
}

#[tokio::test]
async fn a_job_that_became_invalid_does_not_stop_the_apply_of_an_export_on_its_server() {
    let windrow = Windrow::start().await;
    let it = Try::new(&windrow);
    windrow.create("good").await;
    windrow.create("bad").await;
    let mut database = PgConnection::connect(&windrow.database_url).await.unwrap();
    let sql =
        "update scheduled_job set cron_expression = '61 * * * *' where scheduled_job_id = 'bad'";
    database.execute(sql).await.unwrap();
    let stderr = |output: &Output| String::from_utf8(output.stderr.clone()).unwrap();

    let exported = run(&it.address, &["jobs", "export"]).await;
    let warned = stderr(&exported);
    let exported = said(&exported, 0);
    assert!(warned.starts_with("warning: bad: is invalid: cron_expression: "), "{warned}");
    let same = it.apply(&exported, &["--yes"]).await;
    assert!(said(&same, 0).contains("2 unchanged"), "{same:?}");
    assert!(stderr(&same).starts_with("warning: bad: is invalid on the server"), "{same:?}");

    let renamed = exported.replace("name: Job bad", "name: Other");
    let refused = said(&it.apply(&renamed, &["--yes"]).await, 1);
    assert!(refused.contains("cron_expression: ") && refused.contains("(job bad)"), "{refused}");
    windrow.stop().await;
}

#[tokio::test]
async fn an_export_has_what_differs_from_the_defaults_and_tells_what_it_leaves_out() {
    let windrow = Windrow::start().await;
    let it = Try::new(&windrow);
    let small = "scheduled_job_id: small\nname: Small\ncron_expression: '@yearly'\n\
                 labels: {team: sales}\njitter: 36h\nparameters: {locations: [46220, 'on'], source: quick}\n";
    let small = small.replace("36h", "20h");
    let other = small.replace("id: small", "id: other").replace("sales", "rent");
    said(&it.apply(&format!("{small}---\n{other}"), &["--yes"]).await, 0);
    windrow.client.pause_job("small").reason("Holidays: # and more").await.unwrap();

    let exported =
        said(&run(&it.address, &["jobs", "export", "--selector", "team=sales"]).await, 0);
    assert_eq!(
        exported,
        "# Scheduled jobs, written by `windrow jobs export` for `windrow apply`.
# A field that is left out has its default. Status, pauses and history are not in files.
---
# paused: Holidays: # and more (apply does not pause or resume)
scheduled_job_id: small
name: Small
cron_expression: \"@yearly\"
parameters:
  locations:
  - \"46220\"
  - \"on\"
  source: quick
labels:
  team: sales
jitter: 20h
"
    );
    let ids = ["jobs", "export", "-q", "other", "small"];
    assert_eq!(said(&run(&it.address, &ids).await, 0), "other\nsmall\n");
    let unknown = said(&run(&it.address, &["jobs", "export", "none"]).await, 1);
    assert!(unknown.contains("none"), "{unknown}");
    windrow.stop().await;
}
