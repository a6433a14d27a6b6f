//! Checks of texts from outside.

/// Ends a text that was shortened.
const CUT: char = '…';

/// Accepts 1 to `most` characters without control characters and not only white space.
pub fn check_line(text: &str, most: usize) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    check_characters(text, most)
}

/// Accepts at most `most` characters without control characters.
pub fn check_characters(text: &str, most: usize) -> Result<(), String> {
    let length = text.chars().count();
    if length > most {
        return Err(format!("has {length} characters; at most {most} are allowed"));
    }
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters".to_owned());
    }
    Ok(())
}

/// Accepts what Postgres can store. For texts that are compared, or shortened when they are stored.
pub fn check_storable(text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err("must not contain U+0000, which cannot be stored".to_owned());
    }
    Ok(())
}

/// One line of at most `most` characters: control characters become spaces, and a longer text ends with `…`.
pub fn shortened(text: &str, most: usize) -> String {
    let plain = text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = plain.take(most.saturating_add(1)).collect();
    if let Some((end, _)) = line.char_indices().nth(most) {
        line.truncate(end);
        line.pop();
        line.push(CUT);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_with_a_mark() {
        assert_eq!(shortened("a\nb\0 \n", 4), "a b ");
        assert_eq!(shortened("äöüß", 4), "äöüß");
        assert_eq!(shortened("äöüß!", 4), "äöü…");
        let cut = shortened(&"x".repeat(100), 10);
        assert_eq!(shortened(&cut, 10), cut, "cutting twice changes nothing");
    }
}
