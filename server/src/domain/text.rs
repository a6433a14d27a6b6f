//! Checks of texts that callers give.

/// Checks that a text has `1..=most` characters, none of them a control character.
pub fn check_line(text: &str, most: usize) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    check_characters(text, most)
}

/// Checks that a text has at most `most` characters, none of them a control character.
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
