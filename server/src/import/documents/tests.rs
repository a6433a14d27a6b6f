use std::io::Cursor;

use serde_json::json;

use super::*;

/// The documents of `text` as compact JSON, or their positions and why they were rejected.
fn read(text: &[u8]) -> Vec<String> {
    let bytes = Replay::new(Box::new(Cursor::new(text.to_vec())));
    let documents = Documents::new("f", bytes).map(Result::unwrap);
    let shown = documents.map(|document| match document.content {
        Ok(value) => value.to_string(),
        Err(reason) => format!("{}: {reason}", document.position),
    });
    shown.collect()
}

const A: &str = "{\"a\":\"[1]{,\\\"\"}";
const B: &str = "{\"b\":{\"c\":[1,2]}}";

#[test]
fn documents_are_the_same_in_every_layout() {
    let pretty = |value: &str| {
        let value: Value = serde_json::from_str(value).unwrap();
        serde_json::to_string_pretty(&value).unwrap()
    };
    let (pretty_a, pretty_b) = (pretty(A), pretty(B));
    let indented = serde_json::to_string_pretty(&json!([
        serde_json::from_str::<Value>(A).unwrap(),
        serde_json::from_str::<Value>(B).unwrap()
    ]));
    for text in [
        format!("{A}\n{B}\n"),
        format!("{A}\n\n{B}"),
        format!("{A}{B}"),
        format!("[{A},{B}]"),
        format!("[{A},{B}]\n"),
        format!("[{A},\n{B}]\n"),
        format!("[\n{A}\n,\n{B}\n]\n"),
        format!("{pretty_a}\n{pretty_b}\n"),
        format!("[{pretty_a},\n{pretty_b}]\n"),
        indented.unwrap(),
        format!("[{A}]\n[{B}]"),
        format!("\u{1e}{A}\n\u{1e}{B}\n"),
    ] {
        for text in [text.clone(), text.replace('\n', "\r\n"), text.replace('\n', "\r")] {
            assert_eq!(read(text.as_bytes()), [A, B], "{text}");
            assert_eq!(read(format!("\u{feff}{text}").as_bytes()), [A, B], "{text}");
        }
    }
    assert!(read(b"").is_empty() && read(b"[]\n").is_empty() && read(b"[\n]").is_empty());
}

#[test]
fn reading_continues_after_a_broken_document() {
    let check = |text: &str, place: &str, expected: &str| {
        for text in [text.to_owned(), text.replace('\n', "\r\n")] {
            let read = read(text.as_bytes());
            let [a, reason, b] = read.as_slice() else { panic!("{text}: {read:?}") };
            assert_eq!((a.as_str(), b.as_str()), (A, B), "{text}");
            let start = format!("f:{place}: ");
            assert!(reason.starts_with(&start) && reason.contains(expected), "{text}: {reason}");
        }
    };
    check(&format!("{A}\n{{\"x\": \"cut off\n{B}"), "2", "control character");
    check(&format!("{A}\n{{\"x\": \n{B}\n"), "2", "EOF while parsing an object");
    check(&format!("{A}\n{{\"x\": 1,\n{B}\n"), "2", "key must be a string on line 3");
    check(&format!("{A}\n{{\"x\": [\n{B}\n"), "2", "EOF while parsing a list");
    check(&format!("{A}\n{{\"x\": NaN}}\n{B}"), "2", "not JSON: expected value on line 2");
    check(&format!("{A}\n{{\"x\": \"\\ud800\"}}\n{B}"), "2", "not JSON");
    check(&format!("{A}\n{{\"x\": 1e999}}\n{B}"), "2", "number out of range");
    check(&format!("{A}\nhello, world\n{B}"), "2", "not a JSON object");
    check(&format!("{A}\n]\n{B}"), "2", "no matching");
    check(&format!("[{A},{{\"x\": nope, \"y\": [{{}}]}},{B}]"), "1 (document 2)", "expected ident");
    check(&format!("[{A},7,{B}]"), "1 (document 2)", "not a JSON object");
    check(&format!("[{A},\n{{\n\t\"x\": nope,\n\t\"y\": {{\n\t}}\n}},\n{B}]"), "2", "on line 3");
    check(&format!("[\n  {A},\n  {{\n    \"x\": nope\n  }},\n  {B}\n]\n"), "3", "on line 4");
    check(&format!("[{A}, {{\n  \"x\": nope\n}}, {B}]\n"), "1 (document 2)", "on line 2");
}

#[test]
fn an_incomplete_array_is_reported() {
    let incomplete = "the array has no end; the file may be incomplete";
    assert_eq!(read(format!("[{A},\n{B},\n").as_bytes()), [A, B, &format!("f:3: {incomplete}")]);
    let cut = read(format!("[{A},\n{{\"b\": ").as_bytes());
    assert!(cut.len() == 3 && cut[1].contains("EOF") && cut[2].contains(incomplete), "{cut:?}");
}

#[test]
fn latin_1_is_named_and_not_altered() {
    let read = read(b"{\"a\": \"caf\xe9\"}\n{\"a\":\"caf\xc3\xa9\"}\n");
    assert!(read[0].starts_with("f:1: is not UTF-8; if the file is Latin-1"), "{read:?}");
    assert_eq!(read[1..], ["{\"a\":\"café\"}"]);
}

#[test]
fn a_document_that_is_too_large_is_skipped() {
    let text = [b"{\"x\": \"".as_slice(), &vec![b'x'; MAX_BYTES], b"\"}\n", B.as_bytes()].concat();
    assert_eq!(read(&text), ["f:1: is larger than 32 MiB", B]);
}
