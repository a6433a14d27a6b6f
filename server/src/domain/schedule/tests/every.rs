//! `@every`: its syntax, and its ticks.

use chrono::{TimeDelta, Timelike};
use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;

use super::{Shift, check, check_rejected, schedule, utc};

#[test]
fn a_period_ticks_at_multiples_since_the_epoch() {
    let start = "2024-01-01 00:00";
    check("@every 90m", "UTC", start, &["01-01 01:30", "01-01 03:00", "01-01 04:30"]);
    check("@every 1h30m", "UTC", start, &["01-01 01:30", "01-01 03:00"]);
    check(" @Every 1H30M0S ", "UTC", start, &["01-01 01:30"]);
    check("@every 24h", "America/New_York", start, &["01-02 00:00", "01-03 00:00"]);
    let seconds: Vec<u32> = schedule("@every 20s", "")
        .ticks_after(utc(start))
        .take(4)
        .map(|tick| tick.tick_at.second())
        .collect();
    assert_eq!(seconds, [20, 40, 0, 20]);
}

#[test]
fn a_period_ignores_clock_changes() {
    let every = schedule("@every 30m", "America/New_York");
    let before_gap = utc("2024-03-10 06:15");
    let ticks: Vec<_> = every.ticks_after(before_gap).take(3).collect();
    let shown: Vec<String> =
        ticks.iter().map(|tick| tick.local_time.format("%H:%M").to_string()).collect();
    assert_eq!(shown, ["01:30", "03:00", "03:30"]);
    assert!(ticks.iter().all(|tick| tick.shift == Shift::None));
    assert!(every.skipped_in(before_gap, utc("2024-03-10 08:00"), 9).is_empty());
}

#[test]
fn an_invalid_period_is_rejected() {
    let check = |period: &str, reason: &str| {
        check_rejected(&format!("@every{period}"), "UTC", "cron_expression", reason);
    };
    for (period, shown) in [
        ("", ""),
        (" ", ""),
        (" 5", "5"),
        (" s", "s"),
        (" 1.5h", "1.5h"),
        (" 500ms", "500ms"),
        (" 1d", "1d"),
        (" -1h", "-1h"),
        (" 1h 30m", "1h 30m"),
        (" 1h30", "1h30"),
        (" é", "é"),
    ] {
        let reason = format!(
            "'@every {shown}' needs a duration in whole seconds, such as 30s or 1h30m, without days: write 48h"
        );
        check(period, &reason);
    }
    for (period, shown) in [
        (" 0s", "0s"),
        (" 8784h1s", "8784h1s"),
        (" 99999999999999999999h", "99999999999999999999h"),
        (" 9999999999999999h", "9999999999999999h"),
    ] {
        check(period, &format!("'@every {shown}' is out of range 1s to 8784h (366 days)"));
    }
    assert_eq!(schedule("@every 8784h", "").cron_expression(), "@every 8784h");
    check_rejected(
        "@everyday",
        "UTC",
        "cron_expression",
        "unknown nickname '@everyday'; expected @every DURATION, @hourly, @daily, @midnight, \
         @weekly, @monthly, @yearly or @annually",
    );
}

#[test]
fn the_last_tick_of_a_period_is_in_the_last_year() {
    let every = schedule("@every 8784h", "UTC");
    let last = every.ticks_after(utc("2099-01-01 00:00")).last().unwrap();
    assert!(last.tick_at < utc("2101-01-01 00:00"), "{last:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn ticks_of_a_period_are_its_multiples_in_every_zone(
        seconds in 1_i64..=31_622_400,
        after in 0_i64..4_000_000_000,
        micros in 0_i64..1_000_000,
        count in 1_usize..20,
        zone in select(["UTC", "America/New_York", "Australia/Lord_Howe"].as_slice()),
    ) {
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        let text = format!("@every {hours}h{minutes}m{}s", seconds % 60);
        let every = schedule(&text, zone);
        let start = utc("1970-01-01 00:00") + TimeDelta::seconds(after);
        let start = start + TimeDelta::microseconds(micros);
        let ticks: Vec<i64> =
            every.ticks_after(start).take(count).map(|tick| tick.tick_at.timestamp()).collect();
        let first = after / seconds + 1;
        let expected: Vec<i64> = (first..).map(|n| n * seconds).take(ticks.len()).collect();
        prop_assert_eq!(&ticks, &expected);
        prop_assert!(ticks.len() == count || expected.last() > Some(&4_000_000_000));
        if let Some(last) = every.ticks_after(start).take(count).last() {
            prop_assert_eq!(every.latest_in(start, last.tick_at), Some(last.tick_at));
            let newest = every.newest_in(start, last.tick_at, count);
            prop_assert_eq!(newest.len(), ticks.len());
            let counted = every.count_in(start, last.tick_at, 1_000);
            prop_assert_eq!(usize::try_from(counted).unwrap(), ticks.len());
            prop_assert!(every.tick_at(last.tick_at).is_some());
            prop_assert!(seconds == 1 || every.tick_at(last.tick_at + TimeDelta::seconds(1)).is_none());
        }
    }
}
