//! The crates that a program gets with this library.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::process::Command;

/// More than the library has today, so that an update may add some, and fewer than a framework brings.
const MOST_CRATES: usize = 100;
const EXAMPLE: &str = "windrow-example-worker";

/// Crates of the command, the server and the tests.
const NOT_FOR_THE_LIBRARY: [&str; 16] = [
    "axum",
    "chrono-tz",
    "clap",
    "console",
    "flate2",
    "indicatif",
    "prost-reflect",
    "reqwest",
    "serde-saphyr",
    "signal-hook-registry",
    "sqlx",
    "tempfile",
    "toml",
    "tracing-subscriber",
    "windrow-cli",
    "windrow-server",
];

#[test]
fn the_library_brings_few_crates_and_none_of_the_command_or_the_server() {
    let crates = crates_of("windrow-client", &[]);
    let wrong: Vec<_> = NOT_FOR_THE_LIBRARY.iter().filter(|name| crates.contains(**name)).collect();
    assert!(wrong.is_empty(), "the library depends on {wrong:?}; see cargo tree --invert");
    assert!(crates.contains("tonic"), "cargo tree lists something else: {crates:?}");
    assert!(crates.len() <= MOST_CRATES, "{} crates: {crates:?}", crates.len());
}

#[test]
fn a_worker_needs_this_library_and_tokio_only() {
    let direct = crates_of(EXAMPLE, &["--depth", "1"]);
    let direct: Vec<_> = direct.iter().map(String::as_str).collect();
    assert_eq!(direct, ["tokio", "windrow-client", EXAMPLE]);
}

/// A package and the packages that it depends on, without those of its tests and builds.
fn crates_of(package: &str, flags: &[&str]) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--edges", "normal", "--prefix", "none"])
        .args(["--package", package])
        .args(flags)
        .output()
        .unwrap();
    assert!(tree.status.success(), "{tree:?}");
    let tree = String::from_utf8(tree.stdout).unwrap();
    tree.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}
