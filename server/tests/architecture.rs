//! The layering of the server: a module of a row may use the modules of its list, and itself.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms and what they may use. Rooms that are not listed may use everything.
const RULES: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("store", &["domain"]),
    ("sources", &["domain", "guard"]),
    ("guard", &["seal"]),
    ("seal", &[]),
    ("watch", &["store", "domain", "error_chain"]),
    ("app", &["watch", "store", "domain", "clock"]),
    (
        "engine",
        &[
            "app",
            "sources",
            "domain",
            "clock",
            "supervisor",
            "error_chain",
            "store",
            "config",
            "zoneinfo",
        ],
    ),
    ("grpc", &["app", "domain", "error_chain", "listener"]),
    ("listener", &["config", "clock"]),
    ("descriptors", &["config"]),
    ("metrics", &["app", "watch", "clock", "domain", "listener", "store", "telemetry"]),
    ("legacy", &["domain"]),
    ("clock", &[]),
    ("supervisor", &[]),
    ("config", &["sources"]),
    ("telemetry", &["config"]),
    ("zoneinfo", &["config", "domain"]),
];

/// Crates that a room does without.
const CRATES: &[(&str, &[&str])] = &[
    (
        "domain",
        &["tokio", "sqlx", "tonic", "serde", "windrow", "windrow_worker", "prost", "futures"],
    ),
    ("store", &["tonic", "windrow", "prost"]),
    ("watch", &["tonic", "windrow", "prost"]),
    ("app", &["tonic", "windrow", "prost"]),
    ("engine", &["tonic", "windrow", "prost", "sqlx"]),
    ("sources", &["tonic", "windrow", "prost", "sqlx"]),
    ("legacy", &["tokio", "sqlx", "tonic", "windrow", "prost"]),
    ("grpc", &["sqlx"]),
];

/// Files of `domain` that derive serde to describe stored JSON.
const WITH_SERDE: &[&str] = &[
    "domain/duration_text.rs",
    "domain/parameters.rs",
    "domain/policy.rs",
    "domain/property.rs",
    "domain/tick_policy.rs",
];

#[test]
fn every_room_uses_only_what_it_may() {
    let mut broken = Vec::new();
    for (room, allowed) in RULES {
        for (file, line) in code(room) {
            for used in rooms_in(&line) {
                if used != *room && !allowed.contains(&used.as_str()) {
                    broken.push(format!("{}: {room} uses {used}: {line}", file.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_room_does_without_certain_crates() {
    let mut broken = Vec::new();
    for (room, refused) in CRATES {
        for (file, line) in code(room) {
            let uses = |name: &&&str| {
                line.contains(&format!("use {name}::")) || line.contains(&format!(" {name}::"))
            };
            let is_used = |name: &&&str| uses(name) && !(**name == "serde" && may_derive(&file));
            if let Some(name) = refused.iter().find(is_used) {
                broken.push(format!("{}: {room} uses {name}: {line}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn app_hands_out_no_types_of_the_store() {
    let exported = |(_, line): &(PathBuf, String)| line.contains("pub use crate::store");
    let broken: Vec<_> = code("app").into_iter().filter(exported).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

fn may_derive(file: &Path) -> bool {
    WITH_SERDE.iter().any(|name| file.ends_with(name))
}

/// The rooms that a line names as `crate::room`.
fn rooms_in(line: &str) -> Vec<String> {
    let names = line.split("crate::").skip(1);
    names
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect())
        .collect()
}

/// The lines of code of a room, without its tests and comments.
fn code(room: &str) -> Vec<(PathBuf, String)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&source.join(room), &mut files);
    if files.is_empty() {
        files.push(source.join(format!("{room}.rs")));
    }
    let mut lines = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.extend(code.map(|line| (file.clone(), line.to_owned())));
    }
    assert!(!lines.is_empty(), "there is no room {room}");
    lines
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") && name != "tests.rs" {
            files.push(path);
        }
    }
}
