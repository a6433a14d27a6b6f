//! JSON as text that a terminal shows and every parser reads as it is meant: characters that control a terminal are
//! escaped, and whole numbers have no fraction.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};

use crate::render::is_hostile;

/// Whole numbers from here on are shortest with an exponent.
const EXPONENTS_FROM: f64 = 1e16;

/// The value on one line.
pub(crate) fn line(value: &impl Serialize) -> serde_json::Result<String> {
    let mut text = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, Plain))?;
    String::from_utf8(text).map_err(serde::ser::Error::custom)
}

struct Plain;

impl Formatter for Plain {
    fn write_f64<W: Write + ?Sized>(&mut self, writer: &mut W, number: f64) -> io::Result<()> {
        if number.fract() == 0.0 && number.abs() < EXPONENTS_FROM {
            return write!(writer, "{number:.0}");
        }
        CompactFormatter.write_f64(writer, number)
    }

    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for part in fragment.split_inclusive(is_hostile) {
            let plain = part.trim_end_matches(is_hostile);
            writer.write_all(plain.as_bytes())?;
            let hostile = part.strip_prefix(plain).unwrap_or_default();
            // None of them needs two escapes.
            hostile.chars().try_for_each(|c| write!(writer, "\\u{:04x}", u32::from(c)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn whole_numbers_have_no_fraction_and_read_equal() {
        for (number, expected) in [
            (9_007_199_254_740_994.0, "9007199254740994"),
            (9_999_999_999_999_998.0, "9999999999999998"),
            (-1e15, "-1000000000000000"),
            (0.1, "0.1"),
        ] {
            assert_eq!(line(&json!(number)).unwrap(), expected);
        }
        for exponent in -324..=308 {
            let number: f64 = format!("1e{exponent}").parse().unwrap();
            let text = line(&json!(number)).unwrap();
            assert_eq!(text.parse(), Ok(number), "{text}");
            assert!(!text.ends_with(".0"), "{text}");
        }
    }

    #[test]
    fn characters_that_control_a_terminal_are_escaped_and_read_equal() {
        let value = json!({ "a\u{202e}b": "x\u{9b}\u{7f}\u{feff}y\u{1b}\n\"\\ 👩‍👧 Łódź \u{2028}" });
        let text = line(&value).unwrap();
        assert!(!text.contains(is_hostile), "{text}");
        assert!(text.contains("👩‍👧 Łódź"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
