//! Cron expressions have the same meaning as in Python's croniter, for which users wrote them.
//!
//! Both get generated expressions and instants in UTC. They have to reject the same expressions, and find the
//! same next ticks for all others. Only the deviations in the table beside the parser are left out.
//!
//! `WINDROW_CRONITER_SEED` repeats the expressions of another run, `WINDROW_CRONITER_EXPRESSIONS` generates
//! more of them.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]
#![expect(unreachable_pub, reason = "a test program exports nothing")]

mod expressions;
mod rules;
#[path = "../../../tests/support/venv.rs"]
mod venv;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::Command;

use chrono::{DateTime, Utc};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use windrow_server::domain::schedule::Schedule;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schedule/croniter_ticks.py");
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schedule/requirements.txt");
const VENV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/croniter");
/// Compared ticks after each instant; the script has the same number.
const TICKS: usize = 10;
/// Enough to cover each feature of croniter hundreds of times, in a few seconds.
const EXPRESSIONS: u64 = 4_000;
const INSTANTS: usize = 3;
/// Instants are earlier, so that few searches reach the end of supported time.
const YEAR_2090: i64 = 3_786_912_000;
const DAY: i64 = 86_400;

/// An expression and the instants, in unix seconds, after which its ticks are compared.
struct Case {
    expression: String,
    after: Vec<i64>,
}

#[test]
fn expressions_have_the_meaning_of_croniter() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("WINDROW_CRONITER_SEED").unwrap_or_else(rand::random);
    eprintln!("WINDROW_CRONITER_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let count = number("WINDROW_CRONITER_EXPRESSIONS").unwrap_or(EXPRESSIONS);
    let cases: Vec<Case> = (0..count).map(|_| case(&mut random)).collect();

    let (mut ticks, mut rejected) = (0, 0);
    for (case, theirs) in cases.iter().zip(croniters(&cases)) {
        let ours = ours(case);
        assert_eq!(ours, theirs, "'{}' after {:?}, seed {seed}", case.expression, case.after);
        match &ours {
            Value::Null => rejected += 1,
            found => ticks += found.as_array().unwrap().iter().map(length).sum::<usize>(),
        }
    }

    println!("{ticks} ticks and {rejected} refusals of {count} expressions equal croniter's");
    assert!(ticks > 0 && rejected > 0);
}

fn case(random: &mut StdRng) -> Case {
    let expression = expressions::comparable(random);
    Case { expression, after: (0..INSTANTS).map(|_| instant(random)).collect() }
}

/// Any second, or one close to midnight.
fn instant(random: &mut StdRng) -> i64 {
    let second = random.random_range(DAY..YEAR_2090);
    if random.random_bool(0.5) {
        return second;
    }
    second - second % DAY + random.random_range(-60..=60)
}

/// The next ticks for each instant, or null for a rejected expression.
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

/// The answers of croniter in the same form.
fn croniters(cases: &[Case]) -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cases.jsonl");
    let mut file = BufWriter::new(File::create(&path).unwrap());
    for Case { expression, after } in cases {
        writeln!(file, "{}", json!({"expression": expression, "after": after})).unwrap();
    }
    file.into_inner().unwrap();
    let mut command = Command::new(venv::python_with(REQUIREMENTS, VENV));
    let output = venv::run(command.arg(SCRIPT).stdin(File::open(&path).unwrap()));
    let answers: Vec<Value> =
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), cases.len());
    answers
}

fn length(ticks: &Value) -> usize {
    ticks.as_array().unwrap().len()
}
