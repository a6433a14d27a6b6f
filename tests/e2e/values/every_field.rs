//! Every field of every request, with values that cannot be stored or sent back: none may fail inside of the server, and
//! every response has a JSON form.

use std::fmt::Write as _;

use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    MethodDescriptor, Value,
};
use prost_types::{Duration, Struct, Timestamp};
use serde_json::{Value as Json, json};
use tonic::Code;
use tonic::client::Grpc;
use tonic::transport::Channel;
use windrow_client::proto;
use windrow_server::sources::{SourceSettings, WorkerSettings};

use super::dynamic::call;
use crate::support::{Windrow, job, parameters};

const SOURCE: &str = "remote";
const WORKER: &str = "worker";
const NUL: &str = "a\0b";
/// Longer than any text may be.
const LONG: usize = 100_000;
/// Texts that are not rejected: output only, compared in memory, or cut when they are stored.
const ACCEPTED_TEXTS: [&str; 9] = [
    "ScheduledJob.etag",
    "ScheduledJob.last_run_job_id",
    "ScheduledJob.pause_reason",
    "ScheduledJob.problem",
    "ScheduledJob.warnings",
    "DeleteScheduledJobRequest.etag",
    "ScrapingJobLog.text",
    "LocationResult.error_message",
    "FinishScrapingJobRequest.error_message",
];

#[tokio::test]
async fn no_value_of_any_field_fails_inside_of_the_server() {
    let windrow = Windrow::start_with(|config| {
        let settings = SourceSettings::Worker(WorkerSettings::default());
        config.sources.insert(SOURCE.to_owned(), settings);
    })
    .await;
    let remote = proto::ScheduledJob { parameters: Some(parameters(SOURCE)), ..job("job") };
    windrow.create_as(remote).await.unwrap();
    let address = format!("http://{}", windrow.address());
    let grpc = Grpc::new(Channel::from_shared(address).unwrap().connect().await.unwrap());
    let pool = DescriptorPool::decode(windrow::FILE_DESCRIPTOR_SET).unwrap();
    let mut wrong = String::new();
    let mut calls = 0;
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let answer = call(&grpc, &method, base(&windrow, &method).await).await;
        assert_ne!(answer, Err(Code::InvalidArgument), "the base of {}", method.name());
        let mut paths = Vec::new();
        add_paths(&method.input(), &mut Vec::new(), &mut paths);
        for path in paths {
            for (name, value) in hostile_values(path.last().unwrap()) {
                let mut request = base(&windrow, &method).await;
                set(&mut request, &path, value);
                let answer = call(&grpc, &method, request).await;
                calls += 1;
                if !is_right(&path, name, answer) {
                    let field: Vec<&str> = path.iter().map(FieldDescriptor::name).collect();
                    let field = field.join(".");
                    writeln!(wrong, "{} {field} = {name}: {answer:?}", method.name()).unwrap();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(calls > 600, "{calls} calls");
    windrow.stop().await;
}

fn is_right(path: &[FieldDescriptor], value: &str, answer: Result<(), Code>) -> bool {
    let field = path.last().unwrap();
    let name = format!("{}.{}", field.parent_message().name(), field.name());
    let is_accepted = ACCEPTED_TEXTS.contains(&name.as_str());
    match answer {
        Ok(()) => is_accepted || value != "long" && value != "nul",
        Err(code) => [
            Code::InvalidArgument,
            Code::NotFound,
            Code::FailedPrecondition,
            Code::AlreadyExists,
            Code::OutOfRange,
            Code::Aborted,
        ]
        .contains(&code),
    }
}

/// A request that is accepted.
async fn base(windrow: &Windrow, method: &MethodDescriptor) -> DynamicMessage {
    let of_job = json!({ "scheduled_job_id": "job" });
    let run = json!({ "job_id": "none" });
    let parameters = json!({ "locations": ["Indianapolis, IN"], "source": SOURCE });
    let request = match method.name() {
        "CreateScheduledJob" => json!({ "scheduled_job": {
            "name": "Job", "cron_expression": "0 0 1 1 *", "parameters": parameters,
        } }),
        "UpdateScheduledJob" => json!({ "scheduled_job": { "scheduled_job_id": "job" } }),
        "BackfillScheduledJob" => json!({
            "scheduled_job_id": "job",
            "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-02T00:00:00Z",
        }),
        "ExplainTick" => json!({ "scheduled_job_id": "job", "tick_at": "2026-01-01T00:00:00Z" }),
        "PreviewTicks" => json!({ "cron_expression": "0 0 * * *" }),
        "ListScheduledJobs" | "ListScrapingJobs" | "ListProperties" | "ExportProperties"
        | "WatchScrapingJobs" => json!({}),
        "GetProperty" => json!({ "source": "s", "property_id": "p" }),
        "SubmitScrapingJob" => json!({ "parameters": parameters }),
        "TriggerJob" => json!({ "job_id": "job" }),
        "CancelScrapingJobs" => json!({ "filter": "status = failed" }),
        "LeaseScrapingJobs" => {
            json!({ "worker_id": WORKER, "sources": [SOURCE], "capacity": 1, "wait": "0s" })
        }
        "Heartbeat" | "SubmitProperties" | "FinishScrapingJob" => {
            worker_call(method.name(), &leased(windrow).await)
        }
        name if name.contains("ScheduledJob") || name == "ListTicks" => of_job,
        _ => run,
    };
    DynamicMessage::deserialize(method.input(), request).unwrap()
}

fn worker_call(method: &str, attempt: &Json) -> Json {
    match method {
        "Heartbeat" => {
            json!({ "worker_id": WORKER, "attempts": [{ "attempt": attempt }] })
        }
        "SubmitProperties" => json!({
            "worker_id": WORKER, "attempt": attempt, "properties": [{ "property_id": "p" }],
        }),
        _ => json!({
            "worker_id": WORKER, "attempt": attempt,
            "outcome": "ATTEMPT_OUTCOME_FAILED", "error_message": "broken",
        }),
    }
}

/// An attempt of a run that is leased.
async fn leased(windrow: &Windrow) -> Json {
    windrow.trigger("job").await;
    let request = proto::LeaseScrapingJobsRequest {
        worker_id: WORKER.to_owned(),
        sources: vec![SOURCE.to_owned()],
        capacity: 1,
        ..Default::default()
    };
    let address = format!("http://{}", windrow.address());
    let mut workers =
        proto::worker_service_client::WorkerServiceClient::connect(address).await.unwrap();
    let leases = workers.lease_scraping_jobs(request).await.unwrap().into_inner().leases;
    let run = leases[0].scraping_job.as_ref().unwrap();
    json!({ "job_id": run.job_id, "attempt": run.attempt })
}

/// The paths of all fields that hold a value.
fn add_paths(
    message: &MessageDescriptor,
    parents: &mut Vec<FieldDescriptor>,
    paths: &mut Vec<Vec<FieldDescriptor>>,
) {
    for field in message.fields() {
        parents.push(field.clone());
        match field.kind() {
            Kind::Message(inner) if !field.is_map() && !is_value(&inner) => {
                add_paths(&inner, parents, paths);
            }
            _ => paths.push(parents.clone()),
        }
        parents.pop();
    }
}

fn is_value(message: &MessageDescriptor) -> bool {
    ["Timestamp", "Duration", "Struct"].contains(&message.name())
}

fn hostile_values(field: &FieldDescriptor) -> Vec<(&'static str, Value)> {
    let long = "x".repeat(LONG);
    let text = |text: &str| Value::String(text.to_owned());
    let entry =
        |key: &str, value: &str| Value::Map([(MapKey::String(key.to_owned()), text(value))].into());
    match field.kind() {
        _ if field.is_map() => vec![
            ("nul", entry("key", NUL)),
            ("nul", entry(NUL, "value")),
            ("long", entry("key", &long)),
            ("long", entry(&long, "value")),
        ],
        Kind::String => vec![("nul", text(NUL)), ("long", text(&long))],
        Kind::Int32 => vec![("min", Value::I32(i32::MIN)), ("max", Value::I32(i32::MAX))],
        Kind::Int64 => vec![("min", Value::I64(i64::MIN)), ("max", Value::I64(i64::MAX))],
        Kind::Double => vec![
            ("NaN", Value::F64(f64::NAN)),
            ("infinity", Value::F64(f64::INFINITY)),
            ("max", Value::F64(f64::MAX)),
        ],
        Kind::Enum(_) => vec![("unknown", Value::EnumNumber(i32::MAX))],
        Kind::Bool => vec![("true", Value::Bool(true))],
        Kind::Message(message) => hostile_messages(&message),
        other => panic!("no values for {other:?}"),
    }
}

fn hostile_messages(message: &MessageDescriptor) -> Vec<(&'static str, Value)> {
    let value = |encoded: Vec<u8>| {
        Value::Message(DynamicMessage::decode(message.clone(), encoded.as_slice()).unwrap())
    };
    let time = |seconds, nanos| value(Timestamp { seconds, nanos }.encode_to_vec());
    let duration = |seconds, nanos| value(Duration { seconds, nanos }.encode_to_vec());
    let body = |json: Json| {
        let Json::Object(fields) = json else { panic!("not an object") };
        value(windrow::json::to_struct(fields).encode_to_vec())
    };
    let deep = (0..30).fold(json!(1), |inner, _| json!({ "a": inner }));
    let number = prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(f64::NAN)) };
    match message.name() {
        "Timestamp" => vec![
            ("last microsecond", time(253_402_300_799, 999_999_999)),
            ("last second", time(253_402_300_799, 0)),
            ("year 10000", time(253_402_300_800, 0)),
            ("year 1", time(-62_135_596_800, 0)),
            ("year 0", time(-62_135_596_801, 0)),
            ("max", time(i64::MAX, i32::MAX)),
            ("min", time(i64::MIN, i32::MIN)),
        ],
        "Duration" => vec![
            ("max", duration(i64::MAX, i32::MAX)),
            ("min", duration(i64::MIN, i32::MIN)),
            ("ten thousand years", duration(315_576_000_000, 0)),
            ("nanosecond", duration(0, 1)),
        ],
        _ => vec![
            ("nul", body(json!({ "a": [{ "b": NUL }] }))),
            ("nul", body(json!({ NUL: 1 }))),
            ("deep", body(json!({ "a": deep }))),
            ("NaN", value(Struct { fields: [("a".to_owned(), number)].into() }.encode_to_vec())),
            ("largest", body(json!({ "a": [f64::MAX, f64::MIN_POSITIVE, -0.0, 1e17, 5e-324] }))),
        ],
    }
}

fn set(message: &mut DynamicMessage, path: &[FieldDescriptor], value: Value) {
    let (field, rest) = path.split_first().unwrap();
    if rest.is_empty() {
        let value = if field.is_list() { Value::List(vec![value]) } else { value };
        message.set_field(field, value);
        return;
    }
    let mut inner = match message.get_field(field).into_owned() {
        Value::Message(inner) => inner,
        Value::List(mut items) if !items.is_empty() => match items.swap_remove(0) {
            Value::Message(inner) => inner,
            other => panic!("{other:?} is not a message"),
        },
        _ => DynamicMessage::new(field.kind().as_message().unwrap().clone()),
    };
    set(&mut inner, rest, value);
    let inner = Value::Message(inner);
    message.set_field(field, if field.is_list() { Value::List(vec![inner]) } else { inner });
}
