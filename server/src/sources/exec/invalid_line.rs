//! The reason why a line of stdout is not a property: the likely cause, and the beginning of the line.

/// Characters of the line in the reason.
const EXCERPT_LENGTH: usize = 80;

/// The reason for a line that is not JSON; completes "line 3: ".
pub(super) fn not_json(text: &str, error: &serde_json::Error) -> String {
    let cause = match likely_cause(text, error) {
        Some(cause) => cause.to_owned(),
        // Names only the column: the parser would call every line "line 1".
        None => format!("not JSON (at column {})", error.column()),
    };
    format!("{cause}: {}", excerpt(text))
}

/// The reason for JSON that is not an object.
pub(super) fn not_an_object(text: &str) -> String {
    let cause = if text.trim_start().starts_with('[') {
        "not a JSON object but a list; write each object on a line of its own"
    } else {
        "not a JSON object"
    };
    format!("{cause}: {}", excerpt(text))
}

/// The reason for bytes that are not UTF-8.
pub(super) fn not_utf8(line: &[u8], error: std::str::Utf8Error) -> String {
    let text = String::from_utf8_lossy(line);
    if line.starts_with(&[0xff, 0xfe]) || line.starts_with(&[0xfe, 0xff]) {
        return format!("not UTF-8 but UTF-16: {}", excerpt(&text));
    }
    format!("not UTF-8 (at byte {}): {}", error.valid_up_to().saturating_add(1), excerpt(&text))
}

fn likely_cause(text: &str, error: &serde_json::Error) -> Option<&'static str> {
    let (trimmed, column) = (text.trim(), error.column());
    let first = trimmed.chars().next()?;
    if trimmed.contains('\0') {
        return Some("not JSON in UTF-8; the zero bytes look like UTF-16");
    }
    if has_number_that_is_not_json(text, column) {
        return Some("not JSON: NaN and Infinity do not exist in it, write null");
    }
    match first {
        '{' | '[' if error.is_eof() => Some(
            "not JSON: the line ends within the value; write each object on one line, not indented",
        ),
        '{' if trimmed.get(1..)?.trim_start().starts_with('\'') => {
            Some("not JSON but like a Python dict; write json.dumps(…)")
        }
        '{' | '[' if error.to_string().starts_with("trailing characters") => {
            Some("not JSON: text after the value; write each object on a line of its own")
        }
        '{' | '[' | '"' => None,
        '<' => Some("not JSON but HTML or XML"),
        '}' | ']' => Some("not JSON: a part of a value; write each object on one line"),
        _ => Some("not JSON but plain text; write logs to stderr"),
    }
}

/// Whether the parser stopped within such a word. It names the column of a character of it.
fn has_number_that_is_not_json(text: &str, column: usize) -> bool {
    let around = text.as_bytes().get(column.saturating_sub(2)..).unwrap_or_default();
    let words = ["NaN", "nan", "Infinity", "-Infinity", "inf"];
    words.iter().any(|word| {
        around.starts_with(word.as_bytes())
            || around.get(1..).is_some_and(|rest| rest.starts_with(word.as_bytes()))
    })
}

/// The beginning of a line on one line of visible characters.
fn excerpt(text: &str) -> String {
    let text = text.trim_end();
    let mut shown = String::new();
    for c in text.chars().take(EXCERPT_LENGTH) {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(EXCERPT_LENGTH).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_likely_cause_is_named() {
        let check = |text: &str, expected: &str| {
            let error = serde_json::from_str::<Value>(text).unwrap_err();
            let reason = not_json(text, &error);
            assert!(reason.contains(expected), "{text}: {reason}");
        };
        check("hello", "plain text; write logs to stderr: hello");
        check("Traceback (most recent call last):", "plain text");
        check("2026-01-02 starting", "plain text");
        check("{", "on one line, not indented: {");
        check("{\"property_id\": \"a\",", "on one line, not indented");
        check("}", "a part of a value");
        check("{'property_id': 'a'}", "Python dict");
        check("{\"a\": NaN}", "NaN and Infinity do not exist in it, write null: {\"a\": NaN}");
        check("{\"a\": -Infinity}", "write null");
        check("{\"a\": [1, Infinity]}", "write null");
        check("NaN", "write null");
        check("{\"a\":1}{\"a\":2}", "text after the value");
        check("<html>", "HTML or XML");
        check("{\"a\" 1}", "not JSON (at column 6): {\"a\" 1}");
        check("{\"a\": nano}", "not JSON");
    }

    #[test]
    fn the_excerpt_is_short_and_visible() {
        let text = format!("a\u{1b}[0m\u{202e}\t\"{}", "é".repeat(100));
        let expected = format!("a\\u{{1b}}[0m\\u{{202e}}\\t\"{}…", "é".repeat(72));
        assert_eq!(excerpt(&text), expected);
        assert_eq!(excerpt("short  "), "short");
    }
}
