//! Likely mistakes in valid expressions, which mean something else than they seem to.

use super::Schedule;
use super::days::{Days, OnDay};
use super::field::{DAY_OF_MONTH, DAY_OF_WEEK, HOUR, MINUTE, MONTH, Part};
use super::parser::{self, Expression};

/// Characters of the expression that a warning repeats.
const SHOWN: usize = 40;
/// Days of the months from January, in a leap year.
const DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

impl Schedule {
    /// A sentence for each likely mistake. Parses the expression again, because few callers ask.
    pub fn warnings(&self) -> Vec<String> {
        let Ok(Expression::Cron(fields)) = parser::parse(&self.cron_expression) else {
            return Vec::new();
        };
        let lower = self.cron_expression.to_ascii_lowercase();
        let words: Vec<&str> = lower.split_ascii_whitespace().collect();
        let [minute, hour, day_of_month, month, day_of_week] = words[..] else {
            // A nickname.
            return Vec::new();
        };
        let of_items = [
            of_items(&MINUTE, "hour", minute),
            of_items(&HOUR, "day", hour),
            of_items(&DAY_OF_MONTH, "month", day_of_month),
            of_items(&MONTH, "year", month),
            of_items(&DAY_OF_WEEK, "week", day_of_week),
        ];
        let of_days = of_both_day_fields(&fields.days, day_of_month, day_of_week)
            .or_else(|| of_absent_days(&fields.days, day_of_month));
        of_items.into_iter().flatten().chain(of_days).collect()
    }
}

/// At most one warning per field, because a list may be long. `cycle` is the time after which the field repeats.
fn of_items(part: &Part, cycle: &str, field: &str) -> Option<String> {
    let of_item = |item| of_equal_range(part, item).or_else(|| of_step(part, cycle, item));
    field.split(',').find_map(of_item)
}

/// As croniter reads it, `9-9` is the whole field.
fn of_equal_range(part: &Part, item: &str) -> Option<String> {
    let (low, high) = item.split('/').next()?.split_once('-')?;
    let name = part.name();
    (low == high).then(|| {
        let (item, low) = (shown(item), shown(low));
        format!("{name} {item} is the whole field, as in croniter; write {low} for this value only")
    })
}

/// A step that selects one value, or two values at uneven distances.
fn of_step(part: &Part, cycle: &str, item: &str) -> Option<String> {
    let (span, step) = item.split_once('/')?;
    let values = part.item(item).ok()?;
    let matched = match values[..] {
        [only] => format!("only {only}"),
        [first, second] if span == "*" && is_uneven(part, first, second) => {
            format!("{first} and {second}")
        }
        _ => return None,
    };
    let remedy = match part.unit() {
        Some(unit) if span == "*" => format!("; '@every {step}{unit}' has that period"),
        Some(_) | None => String::new(),
    };
    let (name, item) = (part.name(), shown(item));
    Some(format!(
        "{name} {item} matches {matched}, because steps start again every {cycle}{remedy}"
    ))
}

/// Only where the field has always the same length.
fn is_uneven(part: &Part, first: u32, second: u32) -> bool {
    part.unit().is_some() && (second - first) * 2 != part.size()
}

/// Two restricted day fields.
fn of_both_day_fields(days: &Days, day_of_month: &str, day_of_week: &str) -> Option<String> {
    let restricts = |field: &str| !field.split(',').any(|item| matches!(item, "*" | "?" | "*/1"));
    if !restricts(day_of_month) || !restricts(day_of_week) {
        return None;
    }
    let fields = format!(
        "day of month {} and day of week {} are both given",
        shown(day_of_month),
        shown(day_of_week)
    );
    Some(if days.are_alternatives() {
        format!("{fields}: a tick is on days that match either of them")
    } else {
        format!("{fields}, one of them with *: a tick is only on days that match both")
    })
}

/// Days that some of the months do not have.
fn of_absent_days(days: &Days, field: &str) -> Option<String> {
    let first = match days.day_of_month.values.first()? {
        OnDay::Number(first) => *first,
        OnDay::Last => return None,
    };
    if days.day_of_month.values.contains(&OnDay::Last) || days.day_of_month.starred {
        return None;
    }
    let lengths = (1..).zip(DAYS).filter(|(month, _)| days.month.values.contains(month));
    let shorter = lengths.filter(|(_, length)| *length < first).count();
    let has_february = days.month.values.contains(&2);
    let absent = match (shorter, has_february && first == 29) {
        (0, false) => return None,
        (0, true) => "is in February only in leap years".to_owned(),
        (1, _) => "does not exist in one of the months".to_owned(),
        (count, _) => format!("does not exist in {count} of the months"),
    };
    let field = shown(field);
    Some(format!("day of month {field} {absent}; 'l' is the last day of every month"))
}

/// A part of the expression in quotes, cut if it is long.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("'{}…'", text.get(..end).unwrap_or_default()),
        None => format!("'{text}'"),
    }
}
