//! Days and times that expressions name, and rejected expressions.
//!
//! The differential test in `server/tests/schedule` compares thousands more with croniter.

use super::{check, check_rejected};
use crate::domain::schedule::{Schedule, ScheduleError};

fn rejected(cron_expression: &str, reason: &str) {
    check_rejected(cron_expression, "", "cron_expression", reason);
}

#[test]
fn expressions_mean_the_same_as_in_croniter() {
    let after = "2024-01-18 05:07"; // A Thursday.
    check("*/20 * * * *", "", after, &["01-18 05:20", "01-18 05:40", "01-18 06:00"]);
    check("50/5 6 * * *", "", after, &["01-18 06:50", "01-18 06:55", "01-19 06:50"]);
    check("5-5 9 * * *", "", after, &["01-18 09:00", "01-18 09:01"]);
    check("59/5 9 * * *", "", after, &["01-18 09:59", "01-19 09:59"]);
    check("0 22-2 * * *", "", after, &["01-18 22:00", "01-18 23:00", "01-19 00:00"]);
    check("0 22-5/3 * * *", "", after, &["01-18 22:00", "01-19 02:00", "01-19 05:00"]);
    check("0 0 * * 0", "", after, &["01-21 00:00", "01-28 00:00"]);
    check("0 0 * * 7", "", after, &["01-21 00:00", "01-28 00:00"]);
    check("0 0 * * FRI-Mon", "", after, &["01-19 00:00", "01-20 00:00", "01-21 00:00"]);
    check("0 0 * * 5-7", "", after, &["01-19 00:00", "01-20 00:00", "01-21 00:00"]);
    check("0 0 1 mar,Jun *", "", after, &["03-01 00:00", "06-01 00:00"]);
    check("07,09 05 * * *", "", after, &["01-18 05:09", "01-19 05:07"]);
    check("0 0 29 2 *", "", after, &["02-29 00:00"]);
    check("0 0 29 2 *", "", "2097-01-01 00:00", &[]);
}

#[test]
fn nicknames_stand_for_expressions() {
    let after = "2024-01-18 05:07";
    check("@hourly", "", after, &["01-18 06:00", "01-18 07:00"]);
    check("@daily", "", after, &["01-19 00:00", "01-20 00:00"]);
    check(" @Midnight ", "", after, &["01-19 00:00", "01-20 00:00"]);
    check("@weekly", "", after, &["01-21 00:00", "01-28 00:00"]);
    check("@monthly", "", after, &["02-01 00:00", "03-01 00:00"]);
    check("@yearly", "", "2023-01-01 00:00", &["01-01 00:00"]);
    check("@annually", "", after, &["01-01 00:00"]);
}

#[test]
fn two_restricted_day_fields_are_alternatives() {
    let after = "2024-01-18 05:07";
    check("0 0 20 * 1", "", after, &["01-20 00:00", "01-22 00:00", "01-29 00:00"]);
    check("0 0 30 2 mon", "", after, &["02-05 00:00", "02-12 00:00"]);
    check("0 0 1-31 * 1", "", after, &["01-19 00:00", "01-20 00:00"]);
}

#[test]
fn a_day_field_with_a_star_must_match_as_well() {
    let after = "2024-01-18 05:07";
    check("0 0 */2 * 1", "", after, &["01-29 00:00", "02-05 00:00", "02-19 00:00"]);
    check("0 0 ? * 1", "", after, &["01-22 00:00", "01-29 00:00"]);
    check("0 0 5,* * 1", "", after, &["01-22 00:00", "01-29 00:00"]);
}

#[test]
fn an_invalid_expression_is_rejected_with_the_reason() {
    rejected(" ", "an expression of 5 fields is required, such as '0 6 * * *'");
    rejected("* * * *", "expected 5 fields, found 4");
    rejected("0 * * * * *", "expected 5 fields, found 6: seconds and years are not supported");
    rejected("61 * * * *", "minute 61 is out of range 0-59");
    rejected("1-99999999999 * * * *", "minute 99999999999 is out of range 0-59");
    rejected("* 24 * * *", "hour 24 is out of range 0-23");
    rejected("* * 0 * *", "day of month 0 is out of range 1-31");
    rejected("* * * 13 *", "month 13 is out of range 1-12");
    rejected("* * * * 8", "day of week 8 is out of range 0-7");
    rejected("*/0 * * * *", "minute '*/0' has a step of zero");
    rejected("+5 * * * *", "minute '+5' is not a number, name, range or step");
    rejected("5, * * * *", "minute '' is not a number, name, range or step");
    rejected("-5 * * * *", "minute '-5' is not a number, name, range or step");
    rejected("*/2/3 * * * *", "minute '*/2/3' is not a number, name, range or step");
    rejected("* mon * * *", "hour 'mon' is not a number, name, range or step");
    rejected("* * 15w * *", "day of month '15w' uses W (nearest weekday), which is not supported");
    rejected("H(0-9)/3 * * * *", "minute 'h(0-9)/3' uses H (hashed), which is not supported");
    rejected("r * * * *", "minute 'r' uses R (random), which is not supported");
    rejected(&"0,".repeat(600), "expression is longer than 1000 bytes");
    let nickname = Schedule::parse("@reboot", "").unwrap_err();
    assert_eq!(nickname, ScheduleError::UnknownNickname { text: "@reboot".into() });
}

#[test]
fn l_is_the_last_day_of_a_month() {
    let after = "2024-01-18 05:07"; // A Thursday.
    check("0 0 L * *", "", after, &["01-31 00:00", "02-29 00:00", "03-31 00:00", "04-30 00:00"]);
    check("0 0 15,l 2 *", "", "2023-01-01 00:00", &["02-15 00:00", "02-28 00:00"]);
    check("0 0 L * 1", "", after, &["01-22 00:00", "01-29 00:00", "01-31 00:00"]);
    check("0 0 30-L 1-3 *", "", after, &["01-30 00:00", "01-31 00:00", "03-30 00:00"]);
    check("0 0 1-L/15 * *", "", after, &["01-31 00:00", "02-01 00:00", "02-16 00:00"]);
    check("0 0 l */6 *", "", after, &["01-31 00:00", "07-31 00:00"]);
}

#[test]
fn l_before_a_weekday_is_the_last_one_of_a_month() {
    let after = "2024-01-18 05:07";
    check("0 0 * * L5", "", after, &["01-26 00:00", "02-23 00:00", "03-29 00:00"]);
    check("0 0 * * l7", "", after, &["01-28 00:00", "02-25 00:00", "03-31 00:00"]);
    check("0 0 * * l1,l2", "", after, &["01-29 00:00", "01-30 00:00", "02-26 00:00"]);
}

#[test]
fn a_hash_after_a_weekday_is_the_nth_one_of_a_month() {
    let after = "2024-01-18 05:07";
    check("0 0 * * 5#3", "", after, &["01-19 00:00", "02-16 00:00", "03-15 00:00"]);
    check("0 0 ? * FRI#3", "", after, &["01-19 00:00", "02-16 00:00", "03-15 00:00"]);
    check("0 0 * * 7#1", "", after, &["02-04 00:00", "03-03 00:00"]);
    check("0 0 * * 4#5", "", after, &["02-29 00:00", "05-30 00:00"]);
    check("0 0 * * 1#1,wed#3", "", after, &["02-05 00:00", "02-21 00:00", "03-04 00:00"]);
    check("0 0 * * 1#1,l5", "", after, &["01-26 00:00", "02-05 00:00", "02-23 00:00"]);
    check("0 0 * * sat-mon#1", "", after, &["02-03 00:00", "02-04 00:00", "02-05 00:00"]);
    // February the 29th is a Monday once in 28 years.
    check("0 0 * 2 1#5", "", after, &["02-29 00:00", "02-29 00:00"]);
    check("0 0 */8 * 1#2", "", after, &["09-09 00:00", "12-09 00:00"]);
}

#[test]
fn a_misplaced_l_or_hash_is_rejected() {
    let l = "L other than in day of month as 'l' or '10-l' and in day of week as 'l5', which is \
             not supported";
    rejected("l * * * *", &format!("minute 'l' uses {l}"));
    rejected("* * l-3 * *", &format!("day of month 'l-3' uses {l}"));
    rejected("* * l/2 * *", &format!("day of month 'l/2' uses {l}"));
    rejected("* * * * L", &format!("day of week 'l' uses {l}"));
    rejected("* * * * 5L", &format!("day of week '5l' uses {l}"));
    let hash = "# other than in day of week as '5#3', 'fri#3' or 'mon-fri#3', which is not \
                supported";
    rejected("* * 5#3 * *", &format!("day of month '5#3' uses {hash}"));
    rejected("* * * * 1-5#3", &format!("day of week '1-5#3' uses {hash}"));
    rejected("* * * * 5#l", &format!("nth day of week '5#l' uses {hash}"));
    rejected("* * * * *#2", &format!("day of week '*#2' uses {hash}"));
    rejected("* * * * 1#6", "nth day of week 6 is out of range 1-5");
    rejected("* * * * 1#0", "nth day of week 0 is out of range 1-5");
    rejected("* * * * 8#1", "day of week 8 is out of range 0-7");
    rejected("* * * * l8", "day of week 8 is out of range 0-7");
}

#[test]
fn a_field_that_would_have_no_effect_is_rejected() {
    rejected(
        "* * * * 2,1#1",
        "day of week '2,1#1' mixes days of every week with days of the month (# or l), which is \
         not supported",
    );
    rejected(
        "0 0 13 * 5#2",
        "day of week '5#2' selects days of the month (# or l), so day of month must be '*' and \
         not '13'",
    );
}

#[test]
fn an_expression_that_never_fires_is_rejected() {
    let never = |text| rejected(text, "can never fire: there is no such day in such a month");
    never("0 0 30 2 *");
    never("0 0 31 4,jun */2");
    never("0 0 */31 * 1#4");
    never("0 0 */31 2 l1");
}
