//! Random JSON at the limits of what can be stored.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Number, Value, json};

type Body = Map<String, Value>;

/// Deepest nesting of objects and lists, the body included.
const DEPTH: usize = 30;
/// 2^53: every integer up to it has an exact double.
const EXACT: u64 = 1 << 53;
/// Parts of texts: quotes, escapes, control characters, right-to-left, combining, beyond 16 bits, the last ones.
const TEXTS: [&str; 12] = [
    "a",
    "\"",
    "\\",
    "\u{1}",
    "\u{7f}",
    "\n",
    "Łódź",
    "\u{202e}",
    "e\u{301}",
    "👩‍👩‍👧",
    "\u{ffff}",
    "\u{10ffff}",
];

pub struct RandomValues(StdRng);

impl RandomValues {
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// Random bodies, then those at a limit.
    pub fn bodies(&mut self, count: usize) -> Vec<Body> {
        let mut bodies: Vec<Body> = (0..count).map(|_| self.object(1, 8)).collect();
        let deepest = (1..DEPTH).fold(json!(1), |inner, level| match level % 2 {
            0 => json!([inner]),
            _ => json!({ "a": inner }),
        });
        let limits = [
            json!({ "deep": deepest }),
            json!({ "text": "x".repeat(1_000_000) }),
            json!({ "items": vec![1; 80_000] }),
            json!({ "numbers": [f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, -0.0, 0.1, 1e17, -4.479_693_110_821_93e18, 1e300, 1e-300] }),
            // The last one has the digits of a double, but another value.
            json!({ "integers": [EXACT, EXACT + 1, EXACT + 2, u64::MAX, i64::MAX, i64::MIN, -1, 0, -136_518_666_835_571_260_i64] }),
            json!({ "": null, "true": true, "empty": [{}, [], ""] }),
        ];
        bodies.extend(limits.into_iter().map(|body| body.as_object().unwrap().clone()));
        bodies
    }

    /// A text without control characters, of at most `most` parts.
    pub fn line(&mut self, most: usize) -> String {
        let text: String = self.text(most).chars().filter(|c| !c.is_control()).collect();
        format!("a{text}z")
    }

    fn object(&mut self, depth: usize, most: usize) -> Body {
        (0..self.0.random_range(0..=most)).map(|_| (self.text(6), self.value(depth))).collect()
    }

    /// `depth` is that of the object or list around the value.
    fn value(&mut self, depth: usize) -> Value {
        match self.0.random_range(0..9) {
            0 => Value::Null,
            1 => Value::Bool(self.0.random()),
            2 => Value::from(self.0.random_range(-1_000_000..1_000_000)),
            3 => Value::from(self.0.random::<i64>() >> self.0.random_range(0..64)),
            4 => Value::from(self.0.random_range(-180.0..180.0)),
            5 => self.double(),
            6 if depth < DEPTH => Value::Object(self.object(depth + 1, 3)),
            7 if depth < DEPTH => {
                (0..self.0.random_range(0..4)).map(|_| self.value(depth + 1)).collect()
            }
            _ => Value::String(self.text(20)),
        }
    }

    fn double(&mut self) -> Value {
        let number = f64::from_bits(self.0.random());
        Number::from_f64(number).map_or(json!(0.1), Value::Number)
    }

    fn text(&mut self, most: usize) -> String {
        let part = |random: &mut StdRng| match random.random_range(0..3) {
            0 => TEXTS[random.random_range(0..TEXTS.len())].to_owned(),
            _ => random.random_range('\u{1}'..char::MAX).to_string(),
        };
        // `@` begins annotations of OData.
        (0..self.0.random_range(0..=most))
            .map(|_| part(&mut self.0))
            .collect::<String>()
            .replace('@', "a")
    }
}

/// Whether `actual` is what has to come back for `sent`: the same, and a whole number is an integer; an integer that a
/// double cannot represent is a text of its digits.
pub fn comes_back(sent: &Value, actual: &Value) -> bool {
    match (sent, actual) {
        (Value::Number(sent), actual) => number_comes_back(sent, actual),
        (Value::Array(sent), Value::Array(actual)) => {
            sent.len() == actual.len()
                && sent.iter().zip(actual).all(|(sent, actual)| comes_back(sent, actual))
        }
        (Value::Object(sent), Value::Object(actual)) => {
            sent.len() == actual.len()
                && sent.iter().all(|(name, value)| {
                    actual.get(name).is_some_and(|actual| comes_back(value, actual))
                })
        }
        (sent, actual) => sent == actual,
    }
}

fn number_comes_back(sent: &Number, actual: &Value) -> bool {
    let is_integer = !sent.is_f64();
    let magnitude = sent.as_u64().or_else(|| sent.as_i64().map(i64::unsigned_abs));
    if magnitude.is_some_and(|magnitude| magnitude > EXACT) {
        let digits = sent.to_string();
        return match actual {
            Value::String(actual) => *actual == digits,
            // By gRPC the sender may write it as a double, if that is exact.
            actual => actual.as_f64().is_some_and(|actual| format!("{actual:.0}") == digits),
        };
    }
    let double = sent.as_f64().unwrap();
    let is_whole = is_integer || double.fract() == 0.0 && double.abs() <= 9_007_199_254_740_992.0;
    actual.as_f64() == Some(double) && (!is_whole || actual.is_i64())
}
