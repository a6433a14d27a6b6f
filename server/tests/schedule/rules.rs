//! Time zones have the rules that Python's `zoneinfo` reads from the same data, for all zones over two years: the
//! data of this system, and that of the package `tzdata`, which is the compiled-in data if the editions are equal.

use std::path::Path;
use std::process::Command;

use chrono::{DateTime, TimeDelta};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use windrow_server::config::{TimeZoneData, TimeZoneSettings};
use windrow_server::domain::schedule::Schedule;
use windrow_server::domain::time_zones::TimeZones;
use windrow_server::zoneinfo;

use super::{REQUIREMENTS, VENV, venv};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schedule/zone_rules.py");
const SYSTEM: &str = "/usr/share/zoneinfo";
/// As in the script.
const TWO_YEARS: i64 = 2 * 366 * 86_400;
const HOURS_AROUND: i64 = 4;
/// Differences in the message of a failure.
const SHOWN: usize = 20;

#[test]
fn the_rules_of_the_system_are_those_that_python_reads() {
    if !Path::new(SYSTEM).is_dir() {
        eprintln!("there is no {SYSTEM}: compared no rules of the system");
        return;
    }
    let theirs = Theirs::read(SYSTEM);
    let zones = from(SYSTEM);
    eprintln!("{zones}: {} equal changes", check(&zones, &theirs));
}

#[test]
fn the_rules_of_the_package_are_those_that_python_reads() {
    let theirs = Theirs::read("tzdata");
    check(&from(theirs.head["directory"].as_str().unwrap()), &theirs);
    let bundled = TimeZones::bundled();
    if theirs.head["edition"] == bundled.edition() {
        eprintln!("{bundled}: {} equal changes", check(&bundled, &theirs));
    } else {
        eprintln!("the package has another edition than the compiled-in data: {}", theirs.head);
    }
}

/// What Python computes.
struct Theirs {
    start: i64,
    head: Value,
    zones: Vec<Value>,
}

impl Theirs {
    fn read(place: &str) -> Self {
        let mut command = Command::new(venv::python_with(REQUIREMENTS, VENV));
        let output = venv::run(command.args([SCRIPT, place]));
        let mut lines = output.lines().map(|line| serde_json::from_str(line).unwrap());
        let head: Value = lines.next().unwrap();
        Self { start: head["start"].as_i64().unwrap(), head, zones: lines.collect() }
    }
}

fn from(directory: &str) -> TimeZones {
    let directory = Some(directory.into());
    zoneinfo::load(&TimeZoneSettings { data: TimeZoneData::System, directory })
}

/// Returns the number of clock changes that are the same.
fn check(zones: &TimeZones, theirs: &Theirs) -> usize {
    let places = ["Factory", "localtime", "posixrules"];
    let is_place = |theirs: &&Value| !places.iter().any(|name| theirs["zone"] == *name);
    let expressions: Vec<&str> =
        theirs.head["expressions"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let (mut different, mut changes, mut compared) = (Vec::new(), 0, 0);
    for theirs_of_zone in theirs.zones.iter().filter(is_place) {
        let name = theirs_of_zone["zone"].as_str().unwrap();
        let ours = match zones.get(name) {
            Some(zone) => answer(zones, name, &zone, &expressions, theirs.start),
            None => json!("unknown"),
        };
        compared += 1;
        changes += theirs_of_zone["changes"].as_array().unwrap().len();
        if ours != *theirs_of_zone {
            different.push(format!("{name}: ours {ours}, theirs {theirs_of_zone}"));
        }
    }
    assert!(compared > 400 && changes > 400, "only {compared} zones with {changes} changes");
    let count = different.len();
    different.truncate(SHOWN);
    assert!(different.is_empty(), "{zones}: {count} zones differ: {different:#?}");
    changes
}

/// The answer of the script, from our rules.
fn answer(
    zones: &TimeZones,
    name: &str,
    zone: &TimeZone,
    expressions: &[&str],
    start: i64,
) -> Value {
    let changes = changes(zone, start);
    let ticks = |at: i64| -> Vec<_> {
        let ticks = expressions.iter().map(|it| ticks_around(zones, name, it, at));
        ticks.collect()
    };
    let ticks: Vec<_> = changes.iter().map(|(at, _)| ticks(*at)).collect();
    json!({"zone": name, "offset": offset_at(zone, start), "changes": changes, "ticks": ticks})
}

fn changes(zone: &TimeZone, start: i64) -> Vec<(i64, i32)> {
    let transitions = zone.following(Timestamp::from_second(start).unwrap());
    let changes = transitions.map(|it| it.timestamp().as_second());
    let changes = changes.take_while(|at| *at <= start + TWO_YEARS);
    // A change of only the name is none.
    let changes = changes.filter(|at| offset_at(zone, at - 1) != offset_at(zone, *at));
    changes.map(|at| (at, offset_at(zone, at))).collect()
}

fn offset_at(zone: &TimeZone, second: i64) -> i32 {
    zone.to_offset(Timestamp::from_second(second).unwrap()).seconds()
}

fn ticks_around(zones: &TimeZones, name: &str, expression: &str, change: i64) -> Vec<i64> {
    let schedule = Schedule::parse_in(zones, expression, name).unwrap();
    let change = DateTime::from_timestamp(change, 0).unwrap();
    let around = TimeDelta::hours(HOURS_AROUND);
    let ticks = schedule.ticks_after(change - around);
    ticks
        .map(|tick| tick.tick_at)
        .take_while(|at| *at <= change + around)
        .map(|at| at.timestamp())
        .collect()
}
