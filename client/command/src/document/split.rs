//! JSON objects that follow each other, as `jobs export --json` prints them.

use serde::de::IgnoredAny;

use super::Position;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// The objects of a text of JSON objects, and their places; `None` if the text has anything else.
pub(super) fn objects(text: &str) -> Option<Vec<(Position, &str)>> {
    let text = text.trim_start_matches(BYTE_ORDER_MARK);
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let (mut objects, mut at, mut begin) = (Vec::new(), Position::START, 0);
    while let Some(value) = values.next() {
        value.ok()?;
        let object = text.get(begin..values.byte_offset())?;
        objects.push((at, object));
        at = after(at, object);
        begin = values.byte_offset();
    }
    Some(objects)
}

fn after(at: Position, text: &str) -> Position {
    let last = text.rsplit('\n').next().unwrap_or_default();
    at.plus(text.matches('\n').count() + 1, last.chars().count() + 1)
}
