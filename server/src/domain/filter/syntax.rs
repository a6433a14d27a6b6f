//! Syntax of filters: a subset of AIP-160 (<https://google.aip.dev/160>).
//!
//! Comparisons joined by `AND`, each optionally negated by `NOT` or `-`: `status = failed AND labels.team =
//! "sales" AND NOT labels:draft AND created_at >= "2026-01-01T00:00:00Z"`. A value is a word, or text in
//! double or single quotes, in which a backslash escapes the next character. `OR`, parentheses, functions
//! and wildcards of AIP-160 are rejected.

use std::iter::Peekable;
use std::str::CharIndices;

/// Longest filter, in characters.
pub const LENGTH: usize = 1_000;
/// Most comparisons of one filter.
pub const COMPARISONS: usize = 20;

/// Comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Has,
    Lacks,
}

impl Operator {
    pub fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Has | Self::Lacks => ":",
        }
    }

    fn negated(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
            Self::Has => Self::Lacks,
            Self::Lacks => Self::Has,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The field's path, such as `labels.team`.
    pub field: String,
    pub operator: Operator,
    pub value: String,
}

/// Parses the comparisons of a filter, all of which must hold; an empty filter has none. The error
/// says what is wrong and where.
pub fn parse(text: &str) -> Result<Vec<Comparison>, String> {
    if text.chars().count() > LENGTH {
        return Err(format!("must have at most {LENGTH} characters"));
    }
    // Also in quotes: no field contains any, and Postgres rejects U+0000.
    if let Some(place) = text.chars().position(|c| c.is_control() && !c.is_whitespace()) {
        return Err(format!("control character at character {}", place + 1));
    }
    let mut tokens = tokens(text)?.into_iter().peekable();
    let mut comparisons = Vec::new();
    while tokens.peek().is_some() {
        comparisons.push(comparison(&mut tokens)?);
        if comparisons.len() > COMPARISONS {
            return Err(format!("must have at most {COMPARISONS} comparisons"));
        }
        match tokens.next() {
            None => break,
            Some(Token { kind: Kind::Word(word), .. })
                if word == "AND" && tokens.peek().is_some() => {}
            Some(token) => return Err(token.unexpected("AND and another comparison")),
        }
    }
    Ok(comparisons)
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Word(String),
    Quoted(String),
    Sign(Operator),
    Minus,
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    /// Position of its first character, from 1.
    position: usize,
}

impl Token {
    fn unexpected(&self, expected: &str) -> String {
        // Such as the first colon of 2026-12-01T06:00:00Z.
        let hint = match self.kind {
            Kind::Sign(Operator::Has) => "; a value with ':', such as a time, needs double quotes",
            _ => "",
        };
        let found = match &self.kind {
            Kind::Word(word) if word == "OR" => {
                return format!("OR is not supported (character {})", self.position);
            }
            Kind::Word(word) => word,
            Kind::Quoted(_) => "quoted text",
            Kind::Sign(operator) => operator.sign(),
            Kind::Minus => "-",
        };
        format!("expected {expected} at character {}, found {found}{hint}", self.position)
    }
}

fn comparison(tokens: &mut impl Iterator<Item = Token>) -> Result<Comparison, String> {
    let mut next =
        |expected: &str| tokens.next().ok_or_else(|| format!("expected {expected} at the end"));
    let mut token = next("a field")?;
    let mut negated = false;
    while token.kind == Kind::Minus || token.kind == Kind::Word("NOT".to_owned()) {
        negated = !negated;
        token = next("a field")?;
    }
    let Kind::Word(field) = token.kind else { return Err(token.unexpected("a field")) };
    let sign = next("one of = != < <= > >= :")?;
    let Kind::Sign(operator) = sign.kind else {
        return Err(sign.unexpected("one of = != < <= > >= :"));
    };
    let value = match next("a value")? {
        Token { kind: Kind::Word(value) | Kind::Quoted(value), .. } => value,
        other => return Err(other.unexpected("a value")),
    };
    let operator = if negated { operator.negated() } else { operator };
    Ok(Comparison { field, operator, value })
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut rest = text.char_indices().peekable();
    let mut tokens = Vec::new();
    while let Some((at, c)) = rest.next() {
        let position = text.get(..at).map_or(0, |before| before.chars().count()) + 1;
        let kind = match c {
            c if c.is_whitespace() => continue,
            '"' | '\'' => Kind::Quoted(quoted(&mut rest, c, position)?),
            '-' => Kind::Minus,
            '=' => Kind::Sign(Operator::Equal),
            ':' => Kind::Sign(Operator::Has),
            '!' if follows(&mut rest, '=') => Kind::Sign(Operator::NotEqual),
            '<' if follows(&mut rest, '=') => Kind::Sign(Operator::LessOrEqual),
            '<' => Kind::Sign(Operator::Less),
            '>' if follows(&mut rest, '=') => Kind::Sign(Operator::GreaterOrEqual),
            '>' => Kind::Sign(Operator::Greater),
            c if is_word(c) => Kind::Word(word(&mut rest, c)),
            '(' | ')' => {
                return Err(format!("parentheses are not supported (character {position})"));
            }
            c => return Err(format!("unexpected '{}' at character {position}", c.escape_debug())),
        };
        tokens.push(Token { kind, position });
    }
    Ok(tokens)
}

fn follows(rest: &mut Peekable<CharIndices<'_>>, expected: char) -> bool {
    rest.next_if(|(_, c)| *c == expected).is_some()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '+')
}

/// A word may contain a minus sign. A time needs quotes because of its colons.
fn word(rest: &mut Peekable<CharIndices<'_>>, first: char) -> String {
    let mut word = String::from(first);
    while let Some((_, c)) = rest.next_if(|(_, c)| is_word(*c) || *c == '-') {
        word.push(c);
    }
    word
}

fn quoted(
    rest: &mut Peekable<CharIndices<'_>>,
    quote: char,
    position: usize,
) -> Result<String, String> {
    let mut text = String::new();
    let unclosed = || format!("the quote at character {position} is not closed");
    loop {
        match rest.next().ok_or_else(unclosed)? {
            (_, '\\') => text.push(rest.next().ok_or_else(unclosed)?.1),
            (_, c) if c == quote => return Ok(text),
            (_, c) => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_are_parsed() {
        let check = |text: &str, expected: &[(&str, Operator, &str)]| {
            let expected: Vec<Comparison> = expected
                .iter()
                .map(|(field, operator, value)| Comparison {
                    field: (*field).to_owned(),
                    operator: *operator,
                    value: (*value).to_owned(),
                })
                .collect();
            assert_eq!(parse(text), Ok(expected), "{text}");
        };
        check("", &[]);
        check("  ", &[]);
        check("status=failed", &[("status", Operator::Equal, "failed")]);
        check(
            r#"labels.team = "a \"b\"" AND NOT labels:draft AND created_at >= '2026-01-01T00:00:00Z'"#,
            &[
                ("labels.team", Operator::Equal, "a \"b\""),
                ("labels", Operator::Lacks, "draft"),
                ("created_at", Operator::GreaterOrEqual, "2026-01-01T00:00:00Z"),
            ],
        );
        check("-priority != high", &[("priority", Operator::Equal, "high")]);
        check("job = sold-daily_1", &[("job", Operator::Equal, "sold-daily_1")]);
        check("x < 1 AND NOT x<=1", &[("x", Operator::Less, "1"), ("x", Operator::Greater, "1")]);
    }

    #[test]
    fn an_invalid_filter_is_rejected_with_the_position_of_the_mistake() {
        let check = |text: &str, expected: &str| {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("a = 1 OR b = 2", "OR is not supported (character 7)");
        check("(a = 1)", "parentheses are not supported (character 1)");
        check("a", "expected one of = != < <= > >= : at the end");
        check("a =", "expected a value at the end");
        check("a = 1 AND", "expected AND and another comparison at character 7");
        check("a = 1 b = 2", "at character 7, found b");
        check("= 1", "expected a field at character 1, found =");
        check(
            "created_at > 2026-12-01T06:00:00Z",
            "found :; a value with ':', such as a time, needs",
        );
        check("a = \"1", "the quote at character 5 is not closed");
        check("a = '\u{1b}'", "control character at character 6");
        check("labels.a = \"\0\"", "control character at character 13");
        check("a ! b", "unexpected '!' at character 3");
        check("é = * ", "unexpected '*' at character 5");
        check(&"a".repeat(1_001), "at most 1000 characters");
        check(&vec!["a = 1"; 21].join(" AND "), "at most 20 comparisons");
    }
}
