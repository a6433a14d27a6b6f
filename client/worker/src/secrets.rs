//! The secrets of a source, replaced in every log line and every reason of it.
//!
//! Services and programs repeat what they were sent: a token server echoes the request in its error, a
//! program prints its environment. [`scrape`](crate::scrape()) and [`TaskOutput`](crate::TaskOutput) hide secrets, so
//! that no source has to.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use regex_lite::Regex;

/// Replaces a secret.
const HIDDEN: &str = "***";
/// Shorter secrets would hide parts of ordinary words.
const SHORTEST: usize = 4;
/// Remembered secrets. Tokens are renewed, so the oldest ones make room.
const REMEMBERED: usize = 64;
/// Shortest line of a secret with several lines, such as a private key, that is hidden by itself.
const SHORTEST_LINE: usize = 8;

/// Credentials of any owner, recognized by their form, and their replacements.
const FORMS: [(&str, &str); 5] = [
    // The password of a URL.
    (r#"(://[^\s/?#@:"'<>]*:)[^\s/?#"'<>]+@"#, "${1}***@"),
    (r#"(?i)(\bauthorization["']?\s*[:=]\s*["']?(?:[a-z]+\s+)?)[^\s"',;]+"#, "${1}***"),
    (r"(?i)(\b(?:bearer|basic)\s+)[a-z0-9._~+/=-]{16,}", "${1}***"),
    (
        r#"(?i)(\b(?:\w*(?:secret|passw(?:or)?d|api_?key|(?:access|refresh|id)_token)|token)=)[^\s&"',;]+"#,
        "${1}***",
    ),
    (
        r#"(?i)("(?:\w*(?:secret|passw(?:or)?d|api_?key|(?:access|refresh|id)_token)|token)"\s*:\s*")[^"]+"#,
        "${1}***",
    ),
];

static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let compiled = |(form, hidden): &(&str, &'static str)| Some((Regex::new(form).ok()?, *hidden));
    FORMS.iter().filter_map(compiled).collect()
});

/// The secrets that a source knows. Clones share them.
#[derive(Clone, Default)]
pub struct Secrets(Arc<RwLock<VecDeque<String>>>);

impl Secrets {
    /// Hides this text from now on, also percent-encoded and escaped as in JSON. Texts of less than four
    /// characters are not hidden.
    pub fn remember(&self, secret: &str) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for form in forms(secret) {
            if !known.contains(&form) {
                known.push_back(form);
            }
        }
        while known.len() > REMEMBERED {
            known.pop_front();
        }
    }

    /// The text with `***` in place of secrets. Call it before a text is cut: a part of a secret is not
    /// recognized.
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for secret in self.longest_first() {
            if text.contains(&secret) {
                text = Cow::Owned(text.replace(&secret, HIDDEN));
            }
        }
        for (pattern, hidden) in PATTERNS.iter() {
            if let Cow::Owned(replaced) = pattern.replace_all(&text, *hidden) {
                text = Cow::Owned(replaced);
            }
        }
        text
    }
    /// A secret that contains another one comes before it and is hidden as a whole.
    fn longest_first(&self) -> Vec<String> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut secrets: Vec<String> = known.iter().cloned().collect();
        secrets.sort_by_key(|secret| Reverse(secret.len()));
        secrets
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(***)")
    }
}

/// The texts by which a secret may come back.
fn forms(secret: &str) -> BTreeSet<String> {
    let secret = secret.trim();
    let lines = secret.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE);
    let all = std::iter::once(secret).chain(lines).flat_map(encodings);
    all.filter(|form| form.chars().count() >= SHORTEST).collect()
}

fn encodings(text: &str) -> [String; 5] {
    let percent = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let form = percent_encode_form(text);
    let json = serde_json::Value::from(text).to_string();
    let json = json.get(1..json.len().saturating_sub(1)).unwrap_or(&json).to_owned();
    [text.to_owned(), lowercase_escapes(&percent), percent, form, json]
}

/// As in the body of a form: a space is a plus sign.
fn percent_encode_form(text: &str) -> String {
    const FORM: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_').remove(b' ');
    utf8_percent_encode(text, FORM).to_string().replace(' ', "+")
}

fn lowercase_escapes(percent: &str) -> String {
    let mut left = 0;
    let lower = percent.chars().map(|c| {
        left = if c == '%' { 2 } else { i32::max(left - 1, -1) };
        if c != '%' && left >= 0 { c.to_ascii_lowercase() } else { c }
    });
    lower.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(secret: &str, text: &str) -> String {
        let secrets = Secrets::default();
        secrets.remember(secret);
        secrets.hide(text).into_owned()
    }

    #[test]
    fn a_secret_is_hidden_in_every_form() {
        let secret = r#"S3+cr/t ="x""#;
        for text in [
            r#"S3+cr/t ="x""#,
            "S3%2Bcr%2Ft%20%3D%22x%22",
            "S3%2bcr%2ft%20%3d%22x%22",
            "S3%2Bcr%2Ft+%3D%22x%22",
            r#"S3+cr/t =\"x\""#,
        ] {
            let text = format!("the request <{text}> is invalid");
            assert_eq!(hidden(secret, &text), "the request <***> is invalid", "{text}");
        }
        assert_eq!(hidden("key-1234\nkey-5678\n", "at key-5678"), "at ***", "a line of a secret");
        assert_eq!(hidden("abc", "abcdef"), "abcdef", "too short to be hidden");
    }

    #[test]
    fn a_longer_secret_is_hidden_as_a_whole_and_old_ones_make_room() {
        let secrets = Secrets::default();
        secrets.remember("hush");
        secrets.remember("hush-hush");
        assert_eq!(secrets.hide("hush-hush, hush"), "***, ***");
        for number in 0..REMEMBERED {
            secrets.remember(&format!("token{number:04}"));
        }
        assert_eq!(secrets.hide("hush token0063"), "hush ***");
        assert_eq!(format!("{secrets:?}"), "Secrets(***)");
    }

    #[test]
    fn credentials_are_hidden_by_their_form() {
        assert_eq!(PATTERNS.len(), FORMS.len());
        for (text, expected) in [
            ("GET https://me:p%40ss@host:8080/x failed", "GET https://me:***@host:8080/x failed"),
            ("postgres://me:p@ss@host/db", "postgres://me:***@host/db"),
            ("Authorization: Bearer abc", "Authorization: Bearer ***"),
            ("{'Authorization': 'Basic YTpi'}", "{'Authorization': 'Basic ***'}"),
            ("sent bearer eyJhbGciOiJIUzI1NiJ9.e30.x", "sent bearer ***"),
            ("GET /x?api_key=abc&a=b", "GET /x?api_key=***&a=b"),
            ("MLS_PASSWORD=abc run", "MLS_PASSWORD=*** run"),
            (r#"{"client_secret": "abc", "a": 1}"#, r#"{"client_secret": "***", "a": 1}"#),
        ] {
            assert_eq!(Secrets::default().hide(text), expected);
        }
        for text in [
            "the bearer token is missing",
            "password must have 8 characters",
            "https://host:8080/users/me@example.com",
            "Property?$skiptoken=20&page_token=x",
        ] {
            assert_eq!(Secrets::default().hide(text), text);
        }
    }
}
