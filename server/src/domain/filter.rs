//! The `filter` of lists: a subset of AIP-160 (<https://google.aip.dev/160>).
//!
//! Comparisons joined by `AND`, each perhaps after `NOT` or `-`: `status = failed AND labels.team =
//! "sales" AND NOT labels:draft AND created_at >= "2026-01-01T00:00:00Z"`. A value is a word or a text
//! in double or single quotes, in which a backslash takes the next character as it is. `OR`,
//! parentheses, functions and wildcards of AIP-160 are refused.

use std::iter::Peekable;
use std::str::CharIndices;

/// Longest filter, in characters.
pub const LENGTH: usize = 1_000;
/// Most comparisons of one filter.
pub const COMPARISONS: usize = 20;

/// How a field is compared.
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

/// The comparisons of a filter, all of which must hold; none if it is empty. The error says what is
/// wrong and where.
pub fn parse(text: &str) -> Result<Vec<Comparison>, String> {
    if text.chars().count() > LENGTH {
        return Err(format!("must have at most {LENGTH} characters"));
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
            Some(token) => return Err(token.refused("AND and another comparison")),
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
    /// Which character it begins with, from 1.
    place: usize,
}

impl Token {
    fn refused(&self, wanted: &str) -> String {
        let shown = match &self.kind {
            Kind::Word(word) if word == "OR" => {
                return format!("OR is not supported (character {})", self.place);
            }
            Kind::Word(word) => word,
            Kind::Quoted(_) => "a quoted text",
            Kind::Sign(operator) => operator.sign(),
            Kind::Minus => "-",
        };
        format!("expected {wanted} at character {}, found {shown}", self.place)
    }
}

fn comparison(tokens: &mut impl Iterator<Item = Token>) -> Result<Comparison, String> {
    let mut next =
        |wanted: &str| tokens.next().ok_or_else(|| format!("ends where {wanted} should be"));
    let mut token = next("a field")?;
    let mut negated = false;
    while token.kind == Kind::Minus || token.kind == Kind::Word("NOT".to_owned()) {
        negated = !negated;
        token = next("a field")?;
    }
    let Kind::Word(field) = token.kind else { return Err(token.refused("a field")) };
    let sign = next("one of = != < <= > >= :")?;
    let Kind::Sign(operator) = sign.kind else {
        return Err(sign.refused("one of = != < <= > >= :"));
    };
    let value = match next("a value")? {
        Token { kind: Kind::Word(value) | Kind::Quoted(value), .. } => value,
        other => return Err(other.refused("a value")),
    };
    let operator = if negated { operator.negated() } else { operator };
    Ok(Comparison { field, operator, value })
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut rest = text.char_indices().peekable();
    let mut tokens = Vec::new();
    while let Some((at, c)) = rest.next() {
        let place = text.get(..at).map_or(0, |before| before.chars().count()) + 1;
        let kind = match c {
            c if c.is_whitespace() => continue,
            '"' | '\'' => Kind::Quoted(quoted(&mut rest, c, place)?),
            '-' => Kind::Minus,
            '=' => Kind::Sign(Operator::Equal),
            ':' => Kind::Sign(Operator::Has),
            '!' if follows(&mut rest, '=') => Kind::Sign(Operator::NotEqual),
            '<' if follows(&mut rest, '=') => Kind::Sign(Operator::LessOrEqual),
            '<' => Kind::Sign(Operator::Less),
            '>' if follows(&mut rest, '=') => Kind::Sign(Operator::GreaterOrEqual),
            '>' => Kind::Sign(Operator::Greater),
            c if is_word(c) => Kind::Word(word(&mut rest, c)),
            '(' | ')' => return Err(format!("parentheses are not supported (character {place})")),
            c => return Err(format!("'{}' at character {place} has no meaning", c.escape_debug())),
        };
        tokens.push(Token { kind, place });
    }
    Ok(tokens)
}

fn follows(rest: &mut Peekable<CharIndices<'_>>, wanted: char) -> bool {
    rest.next_if(|(_, c)| *c == wanted).is_some()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '+')
}

/// A word may have a minus sign, and a time its colons need quotes.
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
    place: usize,
) -> Result<String, String> {
    let mut text = String::new();
    let unclosed = || format!("the quote at character {place} is not closed");
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
    fn comparisons_are_read() {
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
    fn what_is_not_supported_is_said_with_its_place() {
        let check = |text: &str, expected: &str| {
            let said = parse(text).unwrap_err();
            assert!(said.contains(expected), "{text}: {said}");
        };
        check("a = 1 OR b = 2", "OR is not supported (character 7)");
        check("(a = 1)", "parentheses are not supported (character 1)");
        check("a", "ends where one of = != < <= > >= : should be");
        check("a =", "ends where a value should be");
        check("a = 1 AND", "expected AND and another comparison at character 7");
        check("a = 1 b = 2", "at character 7, found b");
        check("= 1", "expected a field at character 1, found =");
        check("a = \"1", "the quote at character 5 is not closed");
        check("a ! b", "'!' at character 3");
        check("é = * ", "'*' at character 5");
        check(&"a".repeat(1_001), "at most 1000 characters");
        check(&vec!["a = 1"; 21].join(" AND "), "at most 20 comparisons");
    }
}
