//! Text of others on a terminal: characters that move the cursor, change colors, reorder text or are invisible are
//! shown as JSON escapes, such as `\u001b` and `\u202e`. The output as JSON is the same before and after.

use std::fmt::Write as _;

/// The text on one line.
pub(crate) fn clean(text: &str) -> String {
    escaped(text, |_| false)
}

/// Text with several lines and the colors of this command: the last check of everything that is printed.
pub(crate) fn printable(text: &str) -> String {
    with_colors(text, console::colors_enabled())
}

fn with_colors(text: &str, has_colors: bool) -> String {
    if !text.contains(is_hostile) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('\u{1b}') {
        let (before, from_escape) = rest.split_at(place);
        let style = if has_colors { style_length(from_escape) } else { 0 };
        let (style, after) = from_escape.split_at(style);
        shown.push_str(&escaped(before, |c| c == '\n'));
        shown.push_str(style);
        rest = after;
        if style.is_empty() {
            shown.push_str("\\u001b");
            rest = after.strip_prefix('\u{1b}').unwrap_or_default();
        }
    }
    shown.push_str(&escaped(rest, |c| c == '\n'));
    shown
}

/// Whether a terminal obeys or hides the character instead of showing it.
pub(crate) fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}')
}

fn escaped(text: &str, is_allowed: fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if is_allowed(c) || !is_hostile(c) => shown.push(c),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            // Writing to a string does not fail.
            c => _ = write!(shown, "\\u{:04x}", u32::from(c)),
        }
    }
    shown
}

/// Length of the color at the start of the text; 0 if it is something else. Only those that this
/// command uses: one number, and not the one that hides text.
fn style_length(text: &str) -> usize {
    let number = text.strip_prefix("\u{1b}[").and_then(|rest| rest.split_once('m'));
    match number {
        Some((number @ ("0" | "1" | "2" | "31" | "32" | "33" | "36"), _)) => {
            "\u{1b}[m".len() + number.len()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_cannot_control_a_terminal() {
        for (text, expected) in [
            ("Łódź, 東京, e\u{301}, 👩‍👩‍👧", "Łódź, 東京, e\u{301}, 👩‍👩‍👧"),
            ("a\u{1b}[2Jb\u{9b}31m", "a\\u001b[2Jb\\u009b31m"),
            ("evil\u{202e}gnp", "evil\\u202egnp"),
            ("\u{feff}one\r\ntwo\tthree\u{7f}", "\\ufeffone\\r\\ntwo\\tthree\\u007f"),
        ] {
            assert_eq!(clean(text), expected);
        }
    }

    #[test]
    fn printed_text_keeps_its_lines_and_the_colors_of_this_command() {
        let check = |text: &str, expected: &str| assert_eq!(with_colors(text, true), expected);
        check("a\n\u{1b}[31mred\u{1b}[0m", "a\n\u{1b}[31mred\u{1b}[0m");
        check("\u{1b}[8mhidden\u{1b}[0m", "\\u001b[8mhidden\u{1b}[0m");
        check("\u{1b}]0;title\u{7}\u{1b}[2J\u{1b}", "\\u001b]0;title\\u0007\\u001b[2J\\u001b");
        assert_eq!(with_colors("\u{1b}[31mred", false), "\\u001b[31mred");
    }
}
