//! The fields of a log line in the text format.
//!
//! A line stays one line and says everything once: fields whose values stand in the message are left
//! out, long values are shortened, and control characters are escaped. JSON keeps every field as it is.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

use super::statements::{STATEMENT, short};

const MESSAGE: &str = "message";
/// Longer values are output of programs, which belongs in JSON logs.
const VALUE_MAX: usize = 300;

/// Formats the message, then the fields that add something to it.
#[derive(Debug)]
pub(super) struct NewFieldsOnly;

impl<'writer> FormatFields<'writer> for NewFieldsOnly {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut collected = Collected::default();
        fields.record(&mut collected);
        let message = single_line(&collected.message);
        writer.write_str(&message)?;
        let mut separator = if message.is_empty() { "" } else { " " };
        for (name, value) in collected.fields {
            if !value.is_empty() && !is_in(&value, &message) {
                write!(writer, "{separator}{name}={}", quoted(&shortened(&value)))?;
                separator = " ";
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Collected {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for Collected {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == MESSAGE {
            self.message = format!("{value:?}");
        } else {
            let value = single_line(&format!("{value:?}"));
            let value = if field.name() == STATEMENT { short(&value) } else { value };
            self.fields.push((field.name(), value));
        }
    }
}

/// Whether a message contains a value as a whole word.
fn is_in(value: &str, message: &str) -> bool {
    let is_inner = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    message.match_indices(value).any(|(start, found)| {
        let before = message.get(..start).and_then(|text| text.chars().next_back());
        let after = message.get(start + found.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(is_inner) && !after.is_some_and(is_inner)
    })
}

fn single_line(text: &str) -> String {
    let mut line = String::new();
    for c in text.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(VALUE_MAX) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
        None => value.to_owned(),
    }
}

fn quoted(value: &str) -> String {
    if value.contains([' ', '"', '=']) { format!("\"{value}\"") } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use tracing::subscriber::with_default;
    use tracing::{info, warn};

    use super::*;
    use crate::telemetry::tests::Lines;

    /// The log line of an event, without its time.
    fn line(log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .fmt_fields(NewFieldsOnly)
            .with_writer(move || writer.clone())
            .finish();
        with_default(subscriber, log);
        lines.text()
    }

    #[test]
    fn a_field_that_stands_in_the_message_is_left_out() {
        let id = "triggered_1";
        let text = line(|| info!(run.id = %id, run.attempt = 2, "Run {id} completed"));
        assert_eq!(text, " INFO Run triggered_1 completed run.attempt=2\n");
    }

    #[test]
    fn a_value_that_is_only_part_of_a_word_is_kept() {
        let text = line(|| info!(run.attempt = 1, "Run triggered_1 completed in 21 s"));
        assert_eq!(text, " INFO Run triggered_1 completed in 21 s run.attempt=1\n");
    }

    #[test]
    fn a_line_stays_one_short_line() {
        let statement = format!("\n\n  select {}\u{1b}[31m", "1, ".repeat(300));
        let text = line(|| warn!(db.statement = statement, "slow\nstatement\u{1b}[31m"));
        assert!(text.starts_with(" WARN slow statement\\u{1b}[31m db.statement=\"select 1, "));
        assert!(text.ends_with("…\"\n") && text.len() < 200, "{text}");
    }
}
