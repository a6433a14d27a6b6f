//! Usual causes of syntax errors.

use granit_parser::ErrorKind as Kind;

use super::{Fault, Position};

/// The usual cause of a syntax error.
pub(super) fn cause(kind: &Kind) -> &'static str {
    match kind {
        Kind::UnknownAnchor | Kind::MissingAnchorOrAliasName => {
            "; quote text that starts with '*' or '&'"
        }
        Kind::UnexpectedCharacter { .. } => "; quote text that starts with this character",
        Kind::InvalidSimpleKey | Kind::SimpleKeyExpected => {
            "; a ':' with a space after it is missing"
        }
        Kind::MappingValueNotAllowed => {
            "; quote text that has ': ', and start the fields of one level at the same column"
        }
        Kind::ExpectedBlockMappingKey | Kind::InvalidIndentation => {
            "; fields of one level start at the same column"
        }
        _ => "",
    }
}

/// The tab that indents the line of a syntax error or the line before it.
pub(super) fn tab_before(text: &str, error: &Fault) -> Option<Fault> {
    let lines = (1..=error.at.line).zip(text.lines());
    let near = lines.skip(error.at.line.saturating_sub(2));
    let is_tab = |line: &str| line.trim_start_matches(' ').starts_with('\t');
    let (line, _) = near.filter(|(_, line)| is_tab(line)).last()?;
    let reason = "not YAML: the line is indented with a tab; indent with spaces".to_owned();
    Some(Fault { at: Position { line, column: 1 }, reason })
}
