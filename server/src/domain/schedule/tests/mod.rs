//! The dialect of expressions, periods, clock changes, properties of all schedules, and the rest here.

mod dialect;
mod every;
mod properties;
mod warnings;
mod zones;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::{Schedule, Shift};

fn schedule(cron_expression: &str, timezone: &str) -> Schedule {
    Schedule::parse(cron_expression, timezone).unwrap()
}

fn utc(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap().and_utc()
}

/// As many ticks after `after` as are expected, formatted like `01-31 23:59` in UTC.
fn check(cron_expression: &str, timezone: &str, after: &str, expected: &[&str]) {
    let schedule = schedule(cron_expression, timezone);
    let ticks = schedule.ticks_after(utc(after)).take(expected.len());
    let found: Vec<String> =
        ticks.map(|tick| tick.tick_at.format("%m-%d %H:%M").to_string()).collect();
    assert_eq!(found, expected, "{cron_expression} {timezone} after {after}");
}

fn check_rejected(cron_expression: &str, timezone: &str, field: &str, reason: &str) {
    let error = Schedule::parse(cron_expression, timezone).unwrap_err();
    assert_eq!((error.field(), error.to_string().as_str()), (field, reason), "{cron_expression}");
}

#[test]
fn a_zone_is_an_iana_name_and_utc_by_default() {
    check_rejected("* * * * *", "Mars/X", "timezone", "unknown IANA time zone 'Mars/X'");
    check_rejected(
        "* * * * *",
        "europe/berlin",
        "timezone",
        "unknown IANA time zone 'europe/berlin'",
    );
    assert_eq!(schedule("* * * * *", "").timezone(), "UTC");
    assert_eq!(schedule(" @Daily", "Asia/Tokyo").cron_expression(), " @Daily");
}

#[test]
fn a_tick_has_the_effect_of_the_clock_change() {
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
fn only_the_instant_of_a_tick_has_a_tick() {
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
fn there_are_no_ticks_outside_of_the_supported_years() {
    let minutely = schedule("* * * * *", "America/New_York");
    assert_eq!(minutely.next_after(DateTime::<Utc>::MAX_UTC), None);
    assert!(minutely.next_after(DateTime::<Utc>::MIN_UTC).is_some());
    assert!(minutely.latest_in(DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC).is_some());
    let newest = minutely.newest_in(DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, 3);
    assert_eq!(newest.len(), 3);
}
