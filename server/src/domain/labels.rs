//! Labels: keys and values that callers attach to scheduled jobs and runs, for use in filters.

use std::collections::BTreeMap;

use super::text::check_characters;
use super::violation::Violation;

/// Values by key, sorted by key.
pub type Labels = BTreeMap<String, String>;

/// Maximum number of labels of a job or run.
pub const COUNT: usize = 64;
/// Maximum length of a key, and of a value, in characters.
pub const LENGTH: usize = 63;

/// True for a valid key: `[a-z][a-z0-9_-]{0,62}`.
pub fn is_key(text: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= LENGTH
        && text.chars().all(word)
}

/// All violations, with paths relative to the message that has the labels.
pub fn check(labels: &Labels) -> Vec<Violation> {
    if labels.len() > COUNT {
        let count = labels.len();
        let text = format!("has {count} entries; at most {COUNT} are allowed");
        return vec![Violation::new("labels", text)];
    }
    let violation = |(key, value): (&String, &String)| {
        if !is_key(key) {
            let shown: String = key.chars().take(LENGTH + 1).collect();
            let text = format!("the key '{shown}' must match [a-z][a-z0-9_-]{{0,62}}");
            return Some(Violation::new("labels", text));
        }
        let description = check_characters(value, LENGTH).err()?;
        Some(Violation::new(format!("labels.{key}"), description))
    };
    labels.iter().filter_map(violation).collect()
}

/// `labels` with those of `over`, which replace labels with the same key.
#[must_use]
pub fn overlaid(labels: &Labels, over: &Labels) -> Labels {
    let both = labels.iter().chain(over);
    both.map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_invalid_label_is_a_violation_of_its_field() {
        let check = |key: &str, value: &str, expected: &[&str]| {
            let fields: Vec<String> =
                check(&labels(&[(key, value)])).into_iter().map(|v| v.field).collect();
            assert_eq!(fields, expected, "{key} = {value}");
        };
        check("team", "sales", &[]);
        check("team", "", &[]);
        check("cost-center_2", "Ünïcode, too", &[]);
        check("Team", "x", &["labels"]);
        check("2team", "x", &["labels"]);
        check("", "x", &["labels"]);
        check(&"k".repeat(64), "x", &["labels"]);
        check("team", &"x".repeat(64), &["labels.team"]);
        check("team", "a\nb", &["labels.team"]);
        let many = (0..65).map(|n| (format!("k{n}"), String::new())).collect();
        assert_eq!(super::check(&many).len(), 1);
    }

    #[test]
    fn a_label_of_a_trigger_replaces_that_of_its_job() {
        let both = overlaid(&labels(&[("a", "1"), ("b", "1")]), &labels(&[("b", "2"), ("c", "2")]));
        assert_eq!(both, labels(&[("a", "1"), ("b", "2"), ("c", "2")]));
    }
}
