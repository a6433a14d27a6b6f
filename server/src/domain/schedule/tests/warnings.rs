//! Valid expressions that mean something else than they seem to.

use super::{check_rejected, schedule};

fn check(cron_expression: &str, expected: &[&str]) {
    assert_eq!(schedule(cron_expression, "").warnings(), expected, "{cron_expression}");
}

#[test]
fn a_step_that_does_not_repeat_within_its_field_has_a_warning() {
    check(
        "*/90 * * * *",
        &[
            "minute '*/90' matches only 0, because steps start again every hour; '@every 90m' has that period",
        ],
    );
    check(
        "0 */25 * * *",
        &[
            "hour '*/25' matches only 0, because steps start again every day; '@every 25h' has that period",
        ],
    );
    check(
        "0-59/60 * * * *",
        &["minute '0-59/60' matches only 0, because steps start again every hour"],
    );
    check("5/90 * * * *", &["minute '5/90' matches only 5, because steps start again every hour"]);
    check(
        "0,30/45 2 * * *",
        &["minute '30/45' matches only 30, because steps start again every hour"],
    );
    check(
        "0 0 */32 * *",
        &["day of month '*/32' matches only 1, because steps start again every month"],
    );
    check("0 0 1 */12 *", &["month '*/12' matches only 1, because steps start again every year"]);
    check(
        "0 0 * * */7",
        &["day of week '*/7' matches only 0, because steps start again every week"],
    );
    check("*/90 */25 * * *", &schedule_warnings(&["*/90 * * * *", "* */25 * * *"]));
}

#[test]
fn a_step_with_two_uneven_intervals_has_a_warning() {
    check(
        "*/45 * * * *",
        &[
            "minute '*/45' matches 0 and 45, because steps start again every hour; '@every 45m' has that period",
        ],
    );
    check(
        "0 */14 * * *",
        &[
            "hour '*/14' matches 0 and 14, because steps start again every day; '@every 14h' has that period",
        ],
    );
}

#[test]
fn an_equal_range_has_a_warning() {
    check(
        "0 9-9 * * *",
        &["hour '9-9' is the whole field, as in croniter; write '9' for this value only"],
    );
}

#[test]
fn two_day_fields_have_a_warning() {
    check(
        "0 0 1-7 * mon",
        &[
            "day of month '1-7' and day of week 'mon' are both given: a tick is on days that match either of them",
        ],
    );
    check(
        "0 0 */2 * 1",
        &[
            "day of month '*/2' and day of week '1' are both given, one of them with *: a tick is only on days \
           that match both",
        ],
    );
}

#[test]
fn days_that_some_months_do_not_have_have_a_warning() {
    let last = "'l' is the last day of every month";
    check("0 0 31 * *", &[&format!("day of month '31' does not exist in 5 of the months; {last}")]);
    check(
        "0 0 30 * *",
        &[&format!("day of month '30' does not exist in one of the months; {last}")],
    );
    check(
        "0 0 31 4,5 *",
        &[&format!("day of month '31' does not exist in one of the months; {last}")],
    );
    check("0 0 29 * *", &[&format!("day of month '29' is in February only in leap years; {last}")]);
    check_rejected(
        "0 0 31 2,4 *",
        "",
        "cron_expression",
        "can never fire: there is no such day in such a month",
    );
}

#[test]
fn usual_expressions_have_no_warning() {
    for usual in [
        "* * * * *",
        "*/5 * * * *",
        "*/7 * * * *",
        "*/30 */12 * * *",
        "10/20 * * * *",
        "0 0-5/3 * * *",
        "0 6 * * mon-fri",
        "0 0 1 */6 *",
        "0 0 l * *",
        "0 0 28-31 * *",
        "0 0 31 1,3 *",
        "0 0 * * 0-7",
        "0 0 ? * l5",
        "0 0 1 1 ?",
        "0 0 */1 * 1",
        "@daily",
        "@every 90m",
    ] {
        check(usual, &[]);
    }
    assert!(
        crate::domain::schedule::Schedule::unreadable("*/90".to_owned(), String::new())
            .warnings()
            .is_empty()
    );
}

/// Clients get a few kilobytes at most.
#[test]
fn warnings_are_short() {
    let items = ["1-1/100"; 120].join(",");
    let expression = format!("{items} 9-9 {} 2 1-1", ["29"; 10].join(","));
    let warnings = schedule(&expression, "").warnings();
    assert!(!warnings.is_empty() && warnings.len() <= 6, "{warnings:?}");
    assert!(warnings.iter().all(|warning| warning.len() < 300), "{warnings:?}");
}

#[test]
fn a_zone_in_the_expression_is_named_with_its_field() {
    let check = |cron_expression: &str| {
        let reason = "the time zone 'Europe/Paris' is not a part of the expression; it belongs in the field \
                      timezone (--timezone Europe/Paris)";
        check_rejected(cron_expression, "", "cron_expression", reason);
    };
    check("CRON_TZ=Europe/Paris 0 2 * * *");
    check(" TZ=Europe/Paris 0 2 * * *");
    check("cron_tz=Europe/Paris @daily");
    check("CRON_TZ=Europe/Paris");
    check("0 2 * * * Europe/Paris");
}

fn schedule_warnings<'a>(expressions: &[&str]) -> Vec<&'a str> {
    let warnings = expressions.iter().flat_map(|it| schedule(it, "").warnings());
    warnings.map(|warning| &*warning.leak()).collect()
}
