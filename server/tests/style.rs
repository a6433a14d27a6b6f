//! Keeps the project's English plain: words that have a better one in our field stay out, and doc
//! comments name the thing instead of starting with a What, Who or How clause.
//!
//! `cargo test -p windrow-server --test style -- --nocapture` prints the counts.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// Words and phrases that stay out, each with what to write instead. Matched at word boundaries,
/// without regard to case.
const BANNED: &[(&str, &str)] = &[
    ("anew", "again, or the verb with re-"),
    ("lest", "so that … not"),
    ("whoever", "the caller, the reader"),
    ("in vain", "without effect; retry"),
    ("nowhere else", "only here"),
    ("is nowhere", "does not exist"),
    ("stubbornly", "retry policy"),
    ("mended", "fixed, repaired"),
    ("mends", "fixes, repairs"),
    ("seen to", "handled"),
    ("given up", "failed, dropped, timed out"),
    ("gives up", "fails, stops"),
    ("for ever", "permanently, without end"),
    ("nobody but", "only"),
    ("at most so", "at most N"),
    ("so many", "at most N, this number"),
    ("so long", "for this long"),
    ("so often", "every N seconds"),
    ("taken up again", "resumed"),
    ("take up again", "resume"),
    ("is no news", "has not changed"),
    ("tells the whole story", "replays the full history"),
];

/// The first word of a doc comment that makes a clause of it: "What a worker says", "How stubbornly".
const CLAUSE_WORDS: &[&str] =
    &["What", "How", "Who", "Whose", "Whom", "Where", "Whether", "Why", "When", "Which"];

/// At most this share of doc-comment lines may start with one of [`CLAUSE_WORDS`]; a genuine
/// "When the server stops, …" is fine.
const CLAUSE_PERCENT: f64 = 2.0;

/// Directories that builds and tests make.
const GENERATED: &[&str] = &["target", "node_modules", "__pycache__", "build", "venv"];

#[test]
fn words_with_a_better_one_stay_out() {
    let mut found = Vec::new();
    for (file, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            for (word, better) in BANNED {
                if contains_word(line, word) {
                    let place = format!("{}:{}", file.display(), number + 1);
                    found.push(format!("{place}: \"{word}\"; write: {better}"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn doc_comments_name_the_thing() {
    let mut clauses = Vec::new();
    let mut count = 0_u32;
    for (file, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            let Some(comment) = doc_comment(&file, line) else { continue };
            count += 1;
            let first = comment.split_whitespace().next().unwrap();
            if CLAUSE_WORDS.contains(&first) {
                clauses.push(format!("{}:{}: {comment}", file.display(), number + 1));
            }
        }
    }
    let percent = 100.0 * f64::from(u32::try_from(clauses.len()).unwrap()) / f64::from(count);
    eprintln!("{} of {count} doc-comment lines ({percent:.1} %) start a clause", clauses.len());
    assert!(percent <= CLAUSE_PERCENT, "{percent:.1} %:\n{}", clauses.join("\n"));
}

#[test]
fn words_are_found_at_their_boundaries() {
    for line in ["read it anew.", "Anew", "(for ever)", "what is mended"] {
        assert!(BANNED.iter().any(|(word, _)| contains_word(line, word)), "{line}");
    }
    for line in ["renewed", "manewer", "blest", "for every run", "commended"] {
        assert!(!BANNED.iter().any(|(word, _)| contains_word(line, word)), "{line}");
    }
}

/// The text of a doc comment in Rust, or of any comment in a proto file.
fn doc_comment<'l>(file: &Path, line: &'l str) -> Option<&'l str> {
    let line = line.trim_start();
    let comment = match file.extension()?.to_str()? {
        "rs" => line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))?,
        "proto" => line.strip_prefix("//")?,
        _ => return None,
    };
    Some(comment.trim()).filter(|comment| !comment.is_empty())
}

fn contains_word(line: &str, word: &str) -> bool {
    let line = line.to_lowercase();
    let boundary = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(start, _)| {
        let (before, rest) = line.split_at(start);
        boundary(before.chars().next_back()) && boundary(rest.chars().nth(word.chars().count()))
    })
}

/// Every text file of the project that people read, with its path from the project's root.
fn texts() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = vec![root.join("README.md"), root.join("build.rs"), root.join("Cargo.toml")];
    for top in ["proto", "server", "client", "tests", ".dev", ".ci"] {
        collect(&root.join(top), &mut files);
    }
    let named = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        (file.strip_prefix(root).unwrap().to_owned(), text)
    };
    let texts: Vec<_> = files.into_iter().filter(|file| is_prose(file)).map(named).collect();
    assert!(texts.len() > 100, "found only {} files", texts.len());
    texts
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_generated =
            GENERATED.contains(&name.as_str()) || (name.starts_with('.') && path.is_dir());
        if path.is_dir() && !is_generated {
            collect(&path, files);
        } else if path.is_file() {
            files.push(path);
        }
    }
}

/// Files with sentences in them; this one is left out, as it has to name the words.
fn is_prose(file: &Path) -> bool {
    let endings = ["rs", "proto", "md", "py", "sql", "toml", "yaml"];
    // Python stubs, which repeat the comments of the contract that they were generated from.
    let is_stub = file.file_stem().is_some_and(|stem| stem.to_string_lossy().contains("_pb2"));
    let is_script =
        file.parent().and_then(Path::file_name).is_some_and(|dir| dir == ".dev" || dir == ".ci");
    match file.extension() {
        Some(ending) => {
            endings.iter().any(|e| ending == *e) && !is_stub && !file.ends_with("tests/style.rs")
        }
        None => is_script,
    }
}
