//! Sentences about single schedules here; properties of all of them in `properties`.

mod properties;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::{Schedule, ScheduleError, Shift};

fn schedule(cron_expression: &str, timezone: &str) -> Schedule {
    Schedule::parse(cron_expression, timezone).unwrap()
}

fn utc(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap().and_utc()
}

/// The ticks after `after` as `01-31 23:59` in UTC, as many as are expected.
fn check(cron_expression: &str, timezone: &str, after: &str, expected: &[&str]) {
    let schedule = schedule(cron_expression, timezone);
    let ticks = schedule.ticks_after(utc(after)).take(expected.len());
    let found: Vec<String> =
        ticks.map(|tick| tick.tick_at.format("%m-%d %H:%M").to_string()).collect();
    assert_eq!(found, expected, "{cron_expression} {timezone} after {after}");
}

fn check_refused(cron_expression: &str, timezone: &str, field: &str, reason: &str) {
    let error = Schedule::parse(cron_expression, timezone).unwrap_err();
    assert_eq!((error.field(), error.to_string().as_str()), (field, reason), "{cron_expression}");
}

#[test]
fn expressions_mean_what_croniter_reads() {
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
fn nicknames_are_spelled_out() {
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
fn what_is_no_schedule_is_refused_with_its_reason() {
    let refused = |text: &str, reason: &str| check_refused(text, "", "cron_expression", reason);
    refused(" ", "an expression of 5 fields is required, such as '0 6 * * *'");
    refused("* * * *", "expected 5 fields, found 4");
    refused("0 * * * * *", "expected 5 fields, found 6");
    refused("61 * * * *", "minute 61 is out of range 0-59");
    refused("1-99999999999 * * * *", "minute 99999999999 is out of range 0-59");
    refused("* 24 * * *", "hour 24 is out of range 0-23");
    refused("* * 0 * *", "day of month 0 is out of range 1-31");
    refused("* * * 13 *", "month 13 is out of range 1-12");
    refused("* * * * 8", "day of week 8 is out of range 0-7");
    refused("*/0 * * * *", "minute '*/0' has a step of zero");
    refused("+5 * * * *", "minute '+5' is not a number, name, range or step");
    refused("5, * * * *", "minute '' is not a number, name, range or step");
    refused("-5 * * * *", "minute '-5' is not a number, name, range or step");
    refused("*/2/3 * * * *", "minute '*/2/3' is not a number, name, range or step");
    refused("* mon * * *", "hour 'mon' is not a number, name, range or step");
    refused("* * L * *", "day of month 'l' uses L (last day), which is not supported");
    refused("* * 15w * *", "day of month '15w' uses W (nearest weekday), which is not supported");
    refused("* * * * 1#2", "day of week '1#2' uses # (nth weekday), which is not supported");
    refused("* * * * mon#2", "day of week 'mon#2' uses # (nth weekday), which is not supported");
    refused("H(0-9)/3 * * * *", "minute 'h(0-9)/3' uses H (hashed), which is not supported");
    refused("r * * * *", "minute 'r' uses R (random), which is not supported");
    refused("0 0 30 2 *", "can never fire: no month in the expression has a day 30");
    refused("0 0 31 4,jun */2", "can never fire: no month in the expression has a day 31");
    refused(&"0,".repeat(600), "expression is longer than 1000 bytes");
    let nickname = Schedule::parse("@reboot", "").unwrap_err();
    assert_eq!(nickname, ScheduleError::UnknownNickname { text: "@reboot".into() });
}

#[test]
fn a_zone_is_an_iana_name_and_utc_by_default() {
    check_refused("* * * * *", "Mars/X", "timezone", "unknown IANA time zone 'Mars/X'");
    check_refused(
        "* * * * *",
        "europe/berlin",
        "timezone",
        "unknown IANA time zone 'europe/berlin'",
    );
    assert_eq!(schedule("* * * * *", "").timezone(), "UTC");
    assert_eq!(schedule(" @Daily", "Asia/Tokyo").cron_expression(), " @Daily");
}

/// New York skips 02:00-03:00 on March 10 (at 07:00 UTC) in 2024.
#[test]
fn in_a_gap_a_fixed_time_moves_behind_it_and_a_wildcard_passes_over() {
    let check = |text, after, expected: &[&str]| check(text, "America/New_York", after, expected);
    check("30 2 * * *", "2024-03-09 12:00", &["03-10 07:00", "03-11 06:30"]);
    check("0,30 2,3 * * *", "2024-03-10 00:00", &["03-10 07:00", "03-10 07:30", "03-11 06:00"]);
    check("30 * * * *", "2024-03-10 05:59", &["03-10 06:30", "03-10 07:30"]);
    check("*/30 2 * * *", "2024-03-09 12:00", &["03-11 06:00", "03-11 06:30"]);
}

/// New York shows 01:00-02:00 twice on November 3 (from 05:00 and 06:00 UTC) in 2024.
#[test]
fn in_a_fold_a_fixed_time_is_due_once_and_a_wildcard_twice() {
    let check = |text, after, expected: &[&str]| check(text, "America/New_York", after, expected);
    check("30 1 * * *", "2024-11-03 00:00", &["11-03 05:30", "11-04 06:30"]);
    check("30 1 * * *", "2024-11-03 05:30", &["11-04 06:30"]);
    check("10 1 * * *", "2024-11-03 06:05", &["11-04 06:10"]);
    check("30 * * * *", "2024-11-03 05:00", &["11-03 05:30", "11-03 06:30", "11-03 07:30"]);
    check("10 * * * *", "2024-11-03 05:45", &["11-03 06:10", "11-03 07:10"]);
    check("*/30 1 * * *", "2024-11-03 05:45", &["11-03 06:00", "11-03 06:30", "11-04 06:00"]);
}

/// Lord Howe skips 02:00-02:30 on October 6 (at 15:30 UTC the day before) and shows 01:30-02:00
/// twice on April 7 (from 14:30 and 15:00 UTC the day before) in 2024.
#[test]
fn half_an_hour_of_change_is_enough() {
    let check =
        |text, after, expected: &[&str]| check(text, "Australia/Lord_Howe", after, expected);
    check("15 2 * * *", "2024-10-05 00:00", &["10-05 15:30", "10-06 15:15"]);
    check("15 * * * *", "2024-10-05 14:00", &["10-05 14:45", "10-05 16:15"]);
    check("45 1 * * *", "2024-04-06 00:00", &["04-06 14:45", "04-07 15:15"]);
    check("45 * * * *", "2024-04-06 14:00", &["04-06 14:45", "04-06 15:15", "04-06 16:15"]);
}

/// Samoa had no December 30 in 2011: the 31st began at 10:00 UTC on the 30th.
#[test]
fn a_skipped_day_is_a_gap() {
    let check = |text, after, expected: &[&str]| check(text, "Pacific/Apia", after, expected);
    check("0 12 * * *", "2011-12-29 12:00", &["12-29 22:00", "12-30 10:00", "12-30 22:00"]);
    check("0 * * * *", "2011-12-30 08:30", &["12-30 09:00", "12-30 10:00", "12-30 11:00"]);
}

#[test]
fn a_tick_tells_what_the_clock_change_did_to_it() {
    let shifts = |text: &str, after: &str| -> Vec<(String, Shift)> {
        let schedule = schedule(text, "America/New_York");
        let ticks = schedule.ticks_after(utc(after)).take(2);
        ticks.map(|tick| (tick.local_time.format("%H:%M").to_string(), tick.shift)).collect()
    };
    let (half_past_one, half_past_two) = ("01:30".to_owned(), "02:30".to_owned());
    assert_eq!(
        shifts("30 2 * * *", "2024-03-09 12:00"),
        [(half_past_two.clone(), Shift::GapMoved), (half_past_two, Shift::None)],
    );
    assert_eq!(
        shifts("30 * * * *", "2024-11-03 05:00"),
        [(half_past_one.clone(), Shift::FoldFirst), (half_past_one, Shift::FoldSecond)],
    );
}

#[test]
fn the_latest_tick_of_decades_is_found() {
    let (after, until) = (utc("1990-01-01 00:00"), utc("2024-06-01 12:34"));
    let latest = |text| schedule(text, "Europe/Berlin").latest_in(after, until);
    assert_eq!(latest("* * * * *"), Some(until));
    assert_eq!(latest("0 0 29 2 *"), Some(utc("2024-02-28 23:00")));
    assert_eq!(schedule("* * * * *", "").latest_in(until, until), None);
    assert_eq!(schedule("* * * * *", "").latest_in(until, after), None);
}

#[test]
fn the_newest_ticks_of_decades_are_found() {
    let (after, until) = (utc("1990-01-01 00:00"), utc("2024-06-01 12:34"));
    let newest = |text, limit| schedule(text, "Europe/Berlin").newest_in(after, until, limit);
    let minutes: Vec<_> = (0..1_000).rev().map(|ago| until - TimeDelta::minutes(ago)).collect();
    assert_eq!(newest("* * * * *", 1_000), minutes);
    assert_eq!(newest("0 0 29 2 *", 2), [utc("2020-02-28 23:00"), utc("2024-02-28 23:00")]);
    assert_eq!(newest("0 0 29 2 *", 100).len(), 9);
    assert!(newest("* * * * *", 0).is_empty());
    assert!(schedule("* * * * *", "").newest_in(until, until, 5).is_empty());
    assert!(schedule("* * * * *", "").newest_in(until, after, 5).is_empty());
}

#[test]
fn a_tick_is_told_from_an_instant_without_one() {
    let daily = schedule("30 2 * * *", "America/New_York");
    let shift_at = |instant| daily.tick_at(instant).map(|tick| tick.shift);
    assert_eq!(shift_at(utc("2024-03-09 07:30")), Some(Shift::None));
    assert_eq!(shift_at(utc("2024-03-10 07:00")), Some(Shift::GapMoved));
    assert_eq!(shift_at(utc("2024-03-10 07:30")), None);
    assert_eq!(shift_at(utc("2024-03-09 07:30") + TimeDelta::microseconds(1)), None);
    assert_eq!(shift_at(utc("2024-03-09 07:30") - TimeDelta::nanoseconds(1)), None);
    assert_eq!(shift_at(DateTime::<Utc>::MIN_UTC), None);
}

#[test]
fn counting_stops_at_the_limit() {
    let (after, until) = (utc("2024-01-01 00:00"), utc("2024-01-01 01:00"));
    let minutely = schedule("* * * * *", "");
    assert_eq!(minutely.count_in(after, until, 1_000), 60);
    assert_eq!(minutely.count_in(after, until, 7), 7);
    assert_eq!(minutely.count_in(until, after, 7), 0);
}

#[test]
fn the_ends_of_time_are_quiet() {
    let minutely = schedule("* * * * *", "America/New_York");
    assert_eq!(minutely.next_after(DateTime::<Utc>::MAX_UTC), None);
    assert!(minutely.next_after(DateTime::<Utc>::MIN_UTC).is_some());
    assert!(minutely.latest_in(DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC).is_some());
    let newest = minutely.newest_in(DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, 3);
    assert_eq!(newest.len(), 3);
}
