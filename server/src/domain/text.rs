//! Checks of texts in requests.

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
