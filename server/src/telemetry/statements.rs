//! Shortens the statements in sqlx's lines about slow statements: a few words name a statement.

use std::fmt;

use serde_json::Value;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// sqlx's target for statements.
const TARGET: &str = "sqlx::query";
/// sqlx's field with the whole statement.
pub(super) const STATEMENT: &str = "db.statement";
/// Characters that tell our statements apart.
const SHORT: usize = 120;

/// Formats an event as JSON, with a short statement.
#[derive(Debug)]
pub(super) struct ShortStatements<E>(pub(super) E);

impl<S, N, E> FormatEvent<S, N> for ShortStatements<E>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    E: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if event.metadata().target() != TARGET {
            return self.0.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        writer.write_str(&with_short_statement(line))
    }
}

/// The start of a statement, on one line.
pub(super) fn short(statement: &str) -> String {
    let line = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

fn with_short_statement(line: String) -> String {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(&line) else { return line };
    if let Some(Value::String(statement)) = fields.get_mut(STATEMENT) {
        *statement = short(statement);
    }
    format!("{}\n", Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use tracing::subscriber::with_default;
    use tracing::{Level, event};

    use super::*;
    use crate::telemetry::tests::Lines;

    #[test]
    fn a_slow_statement_is_named_by_its_first_words() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .map_event_format(ShortStatements)
            .with_writer(move || writer.clone())
            .finish();
        let statement = format!("\n\nselect\n  id\nfrom job{}\n", ", job".repeat(1_000));
        with_default(subscriber, || {
            event!(target: "sqlx::query", Level::WARN, db.statement = statement, "slow statement");
            event!(Level::WARN, db.statement = statement, "of another target");
        });
        let text = lines.text();
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let shown = lines[0][STATEMENT].as_str().unwrap();
        assert!(shown.starts_with("select id from job, job") && shown.ends_with('…'), "{shown}");
        assert_eq!((shown.chars().count(), &lines[0]["message"]), (121, &"slow statement".into()));
        assert_eq!(lines[1][STATEMENT], statement);
    }
}
