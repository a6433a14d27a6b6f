//! Details of one thing: a line per field, values aligned and wrapped to the terminal.

use console::measure_text_width;

use super::Layout;
use super::escape::clean;
use super::table::{GAP, colored};

/// Width that values have even on a very narrow terminal.
const MIN_VALUE: usize = 20;

/// One line per value that is not empty, aligned. Long values wrap below themselves.
pub(super) fn details(layout: &Layout, lines: Vec<(&str, String)>) -> String {
    let given: Vec<_> = lines.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let indent = given.iter().map(|(name, _)| name.len() + 1 + GAP).max().unwrap_or_default();
    let room = layout.width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(MIN_VALUE));
    let line = |(name, value): &(&str, String)| {
        let mut wrapped = wrap(&clean(value), room);
        if name.to_lowercase().ends_with("status") {
            wrapped = wrapped.iter().map(|line| colored(line)).collect();
        }
        let value = wrapped.join(&format!("\n{}", " ".repeat(indent)));
        format!("{:<indent$}{value}", format!("{name}:"))
    };
    given.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Breaks text at spaces. A word that is too long keeps its own line.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if measure_text_width(line) + 1 + measure_text_width(word) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_details_are_left_out_and_long_ones_wrap() {
        let lines = || {
            vec![
                ("Id", "x".into()),
                ("Empty", String::new()),
                ("Name", "one two three four".into()),
            ]
        };
        let wide = details(&Layout::fixed(None, 0), lines());
        assert_eq!(wide, "Id:    x\nName:  one two three four");
        let long = vec![("Name", "one two three four five six".to_owned())];
        let narrow = details(&Layout::fixed(Some(27), 0), long);
        assert_eq!(narrow, "Name:  one two three four\n       five six");
    }
}
