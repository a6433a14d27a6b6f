//! Cron expressions mean what croniter makes of them, for which they were written.
//!
//! Made-up expressions and instants, in UTC, are given to both; what croniter refuses must be refused,
//! and of all others the next ticks must be equal. Left out is what the table beside the parser says, and
//! nothing else. The domain is asked itself, since a call of the service for each would take minutes.
//!
//! `WINDROW_CRONITER_SEED` repeats another run's expressions, `WINDROW_CRONITER_EXPRESSIONS` makes more of
//! them.

mod expressions;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::Command;

use chrono::{DateTime, Utc};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use windrow_server::domain::schedule::Schedule;

use crate::support::python;

/// How many ticks after each instant are compared; the script's number too.
const TICKS: usize = 10;
/// Enough to meet each habit of croniter's hundreds of times, in a few seconds.
const EXPRESSIONS: u64 = 4_000;
const INSTANTS: usize = 3;
/// Instants are before this, so that few of them run into the end of time.
const YEAR_2090: i64 = 3_786_912_000;
const DAY: i64 = 86_400;

/// An expression and the instants, in unix seconds, after which its ticks are compared.
struct Case {
    expression: String,
    after: Vec<i64>,
}

#[test]
fn expressions_mean_what_croniter_makes_of_them() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("WINDROW_CRONITER_SEED").unwrap_or_else(rand::random);
    eprintln!("WINDROW_CRONITER_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let wanted = number("WINDROW_CRONITER_EXPRESSIONS").unwrap_or(EXPRESSIONS);
    let cases: Vec<Case> = (0..wanted).map(|_| case(&mut random)).collect();

    let (mut ticks, mut refused) = (0, 0);
    for (case, theirs) in cases.iter().zip(croniters(&cases)) {
        let ours = ours(case);
        assert_eq!(ours, theirs, "'{}' after {:?}, seed {seed}", case.expression, case.after);
        match &ours {
            Value::Null => refused += 1,
            found => ticks += found.as_array().unwrap().iter().map(length).sum::<usize>(),
        }
    }

    println!("{ticks} ticks and {refused} refusals of {wanted} expressions are croniter's");
    assert!(ticks > 0 && refused > 0);
}

fn case(random: &mut StdRng) -> Case {
    let expression = expressions::comparable(random);
    Case { expression, after: (0..INSTANTS).map(|_| instant(random)).collect() }
}

/// Any second, or one beside a midnight.
fn instant(random: &mut StdRng) -> i64 {
    let second = random.random_range(DAY..YEAR_2090);
    if random.random_bool(0.5) {
        return second;
    }
    second - second % DAY + random.random_range(-60..=60)
}

/// For each instant the next ticks, or null for what is refused.
fn ours(case: &Case) -> Value {
    let Ok(schedule) = Schedule::parse(&case.expression, "") else {
        return Value::Null;
    };
    case.after.iter().map(|second| next_ticks(&schedule, *second)).collect()
}

fn next_ticks(schedule: &Schedule, after: i64) -> Value {
    let after: DateTime<Utc> = DateTime::from_timestamp(after, 0).unwrap();
    schedule.ticks_after(after).take(TICKS).map(|tick| tick.tick_at.timestamp()).collect()
}

/// croniter's answers, in the same form.
fn croniters(cases: &[Case]) -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cases.jsonl");
    let mut file = BufWriter::new(File::create(&path).unwrap());
    for Case { expression, after } in cases {
        writeln!(file, "{}", json!({"expression": expression, "after": after})).unwrap();
    }
    file.into_inner().unwrap();
    let script = format!("{}/croniter_ticks.py", python::SCRIPTS);
    let mut command = Command::new(python::with_requirements());
    let said = python::run(command.arg(script).stdin(File::open(&path).unwrap()));
    let answers: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), cases.len());
    answers
}

fn length(ticks: &Value) -> usize {
    ticks.as_array().unwrap().len()
}
