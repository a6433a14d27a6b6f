//! Generates expressions: most by the grammar, some by random concatenation of its tokens.

use rand::RngExt;
use rand::prelude::IndexedRandom;
use rand::rngs::StdRng;
use windrow_server::domain::schedule::Schedule;

/// Numbers and names of a field.
struct Part {
    min: u32,
    max: u32,
    /// Names of the numbers, starting with `min`.
    names: &'static [&'static str],
}

const MINUTE: Part = Part { min: 0, max: 59, names: &[] };
const HOUR: Part = Part { min: 0, max: 23, names: &[] };
const DAY: Part = Part { min: 1, max: 31, names: &[] };
const MONTH: Part = Part {
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAY: Part =
    Part { min: 0, max: 7, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };
const NICKNAMES: [&str; 9] = [
    "@hourly",
    "@daily",
    "@Midnight",
    "@weekly",
    "@monthly",
    "@yearly",
    "@annually",
    "@reboot",
    "@dayly",
];
/// All tokens of fields, except `W`, `H` and `R`, which are rejected by name.
const TOKENS: [&str; 24] = [
    "0", "1", "2", "5", "7", "12", "31", "59", "60", "*", "*", "/", "/", ",", "-", "-", "#", "l",
    "?", "mon", "fri", "sun", "feb", "l5",
];

/// An expression that croniter and Windrow have to agree on.
pub fn comparable(random: &mut StdRng) -> String {
    loop {
        let expression = any(random);
        if !is_in_the_table(&expression.to_lowercase()) {
            return expression;
        }
    }
}

fn any(random: &mut StdRng) -> String {
    let mut fields = match random.random_range(0..100) {
        0 => return (*NICKNAMES.choose(random).unwrap()).to_owned(),
        1 => vec!["*".to_owned(); random.random_range(1..5)],
        _ => vec![
            field(random, &MINUTE, item),
            field(random, &HOUR, item),
            field(random, &DAY, day_item),
            field(random, &MONTH, item),
            weekday_field(random),
        ],
    };
    if random.random_bool(0.2) {
        let wild = random.random_range(0..fields.len());
        fields[wild] = tokens(random);
    }
    let expression = fields.join(["  ", " ", "\t"].choose(random).unwrap());
    if random.random_bool(0.2) { expression.to_uppercase() } else { expression }
}

fn field(random: &mut StdRng, part: &Part, item: impl Fn(&mut StdRng, &Part) -> String) -> String {
    if random.random_bool(0.3) {
        return "*".to_owned();
    }
    let items = *[1, 1, 1, 2, 2, 3].choose(random).unwrap();
    (0..items).map(|_| item(random, part)).collect::<Vec<_>>().join(",")
}

fn item(random: &mut StdRng, part: &Part) -> String {
    let (one, other) = (number(random, part), number(random, part));
    let step = random.random_range(1..=part.max + 3);
    match random.random_range(0..10) {
        0..=3 => one,
        4 | 5 => format!("{one}-{other}"),
        6 => format!("{one}-{other}/{step}"),
        7 => format!("{one}-{one}"),
        8 => format!("{one}/{step}"),
        _ => format!("*/{step}"),
    }
}

fn number(random: &mut StdRng, part: &Part) -> String {
    if !part.names.is_empty() && random.random_bool(0.3) {
        return (*part.names.choose(random).unwrap()).to_owned();
    }
    let number = match random.random_range(0..100) {
        0 => part.max + 1,
        1 => 0,
        2..=10 => part.max,
        _ => random.random_range(part.min..=part.max),
    };
    if random.random_bool(0.1) { format!("{number:02}") } else { number.to_string() }
}

fn day_item(random: &mut StdRng, part: &Part) -> String {
    match random.random_range(0..8) {
        0 => "l".to_owned(),
        1 => format!("{}-l", number(random, part)),
        2 => "?".to_owned(),
        _ => item(random, part),
    }
}

fn weekday_field(random: &mut StdRng) -> String {
    if random.random_bool(0.3) {
        return field(random, &WEEKDAY, weekday_of_the_month);
    }
    field(random, &WEEKDAY, item)
}

fn weekday_of_the_month(random: &mut StdRng, part: &Part) -> String {
    let (one, other) = (number(random, part), number(random, part));
    let nth = random.random_range(1..=5);
    match random.random_range(0..4) {
        0 => format!("l{one}"),
        1 => format!("{one}-{other}#{nth}"),
        _ => format!("{one}#{nth}"),
    }
}

fn tokens(random: &mut StdRng) -> String {
    (0..random.random_range(1..6)).map(|_| *TOKENS.choose(random).unwrap()).collect()
}

/// Whether the table beside the parser lists a deviation from croniter. Its other rows are about inputs that
/// are never generated here: seconds, `W`, `H`, `R`, white space around nicknames, great lengths, zones other than
/// UTC. Both reject expressions that never fire, croniter when it is asked for a tick.
fn is_in_the_table(expression: &str) -> bool {
    let fields: Vec<&str> = expression.split_ascii_whitespace().collect();
    let [_, _, day, month, weekday] = fields[..] else { return false };
    let of_the_month = weekday.split(',').filter(|item| is_of_the_month(item)).count();
    has_half_a_star(day) && !is_whole(weekday)
        || has_half_a_star(weekday) && !is_whole(day)
        || has_an_inner_star(day) && days_of_january("*", weekday) == 31
        || has_an_inner_star(weekday) && days_of_january(day, "*") == 31
        || of_the_month > 0 && !is_whole(day)
        || of_the_month > 0 && of_the_month < weekday.split(',').count()
        || has_a_range_with_zero(day)
        || has_a_range_with_zero(month)
        || is_thirty_days_and_the_last(day) && weekday.contains('*')
}

fn has_half_a_star(field: &str) -> bool {
    field.starts_with('*') && !is_whole(field)
}

fn has_an_inner_star(field: &str) -> bool {
    field.contains('*') && !field.starts_with('*') && !is_whole(field)
}

fn is_whole(field: &str) -> bool {
    field == "?" || field.split(',').any(|item| item == "*")
}

/// Such as `5#2` and `l5`.
fn is_of_the_month(item: &str) -> bool {
    item.contains('#') || item.starts_with('l')
}

fn has_a_range_with_zero(field: &str) -> bool {
    let is_zero = |bound: &str| bound.parse() == Ok(0);
    let spans = field.split(',').filter_map(|item| item.split('/').next());
    spans.filter_map(|span| span.split_once('-')).any(|(low, high)| is_zero(low) || is_zero(high))
}

fn is_thirty_days_and_the_last(day: &str) -> bool {
    let (last, others): (Vec<&str>, Vec<&str>) = day.split(',').partition(|item| *item == "l");
    !last.is_empty() && days_of_january(&others.join(","), "*") == 30
}

/// Number of matching days in a January.
fn days_of_january(day: &str, weekday: &str) -> u64 {
    let (start, end) = ("2023-12-31T12:00:00Z".parse(), "2024-01-31T12:00:00Z".parse());
    Schedule::parse(&format!("0 0 {day} 1 {weekday}"), "")
        .map_or(0, |schedule| schedule.count_in(start.unwrap(), end.unwrap(), 31))
}
