//! Comparison of ticks with a scan of every minute around clock changes, which has its own matcher.
//!
//! A failure prints the smallest failing input.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Timelike, Utc};
use jiff::tz::TimeZone;
use proptest::collection::{btree_set, vec};
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::sample::select;

use super::super::wall_clock::wall_at;
use super::{Schedule, schedule, utc};
use crate::domain::time_zones::time_zones;

/// Zones, each with an instant up to three days before one of its clock changes.
const CHANGES: [(&str, &str); 10] = [
    ("America/New_York", "2024-03-09 06:00"),
    ("America/New_York", "2024-11-02 06:00"),
    ("Australia/Lord_Howe", "2024-10-04 12:00"),
    ("Australia/Lord_Howe", "2024-04-05 12:00"),
    ("Pacific/Apia", "2011-12-29 08:00"),
    ("Europe/Dublin", "2024-10-26 00:00"),
    ("Africa/Casablanca", "2024-03-09 12:00"),
    ("America/Caracas", "2007-12-08 12:00"),
    ("Antarctica/Troll", "2024-10-26 00:00"),
    ("America/Havana", "2024-11-02 12:00"),
];

const MINUTES_SCANNED: i64 = 3 * 24 * 60;

/// Numbers of a field; `None` for a star.
type Numbers = Option<BTreeSet<u32>>;

#[derive(Clone, Debug)]
struct Fields {
    minute: Numbers,
    hour: Numbers,
    day: Numbers,
    weekday: Numbers,
}

impl Fields {
    fn text(&self) -> String {
        let [minute, hour, day, weekday] = [&self.minute, &self.hour, &self.day, &self.weekday]
            .map(|numbers| match numbers {
                Some(set) => set.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
                None => "*".to_owned(),
            });
        format!("{minute} {hour} {day} * {weekday}")
    }

    fn names(&self, wall: NaiveDateTime) -> bool {
        let has =
            |numbers: &Numbers, number| numbers.as_ref().is_none_or(|set| set.contains(&number));
        let day = has(&self.day, wall.day());
        let weekday = has(&self.weekday, wall.weekday().num_days_from_sunday());
        let either = self.day.is_some() && self.weekday.is_some();
        has(&self.minute, wall.minute())
            && has(&self.hour, wall.hour())
            && (if either { day || weekday } else { day && weekday })
    }

    /// All ticks of the scanned days, found minute by minute from the local time.
    fn scan(&self, zone: &TimeZone, start: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let follows_clock = self.minute.is_none() || self.hour.is_none();
        let mut shown_before = wall_at(zone, start);
        let mut ticks = Vec::new();
        for minute in 1..=MINUTES_SCANNED {
            let instant = start + TimeDelta::minutes(minute);
            let shown = wall_at(zone, instant);
            let passed = minutes_between(shown_before, shown);
            if follows_clock && self.names(shown)
                || !follows_clock && passed.into_iter().any(|wall| self.names(wall))
            {
                ticks.push(instant);
            }
            shown_before = shown_before.max(shown);
        }
        ticks
    }
}

fn minutes_between(after: NaiveDateTime, until: NaiveDateTime) -> Vec<NaiveDateTime> {
    (1..=(until - after).num_minutes()).map(|minute| after + TimeDelta::minutes(minute)).collect()
}

fn numbers(max: u32, least: u32) -> impl Strategy<Value = Numbers> {
    prop_oneof![Just(None), btree_set(least..=max, 1..4).prop_map(Some)]
}

fn fields() -> impl Strategy<Value = Fields> {
    // Early hours, because clocks change then.
    let hour = prop_oneof![numbers(23, 0), numbers(3, 0)];
    (numbers(59, 0), hour, numbers(31, 1), numbers(6, 0))
        .prop_map(|(minute, hour, day, weekday)| Fields { minute, hour, day, weekday })
}

fn within(
    ticks: &[DateTime<Utc>],
    after: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<DateTime<Utc>> {
    ticks.iter().copied().filter(|tick| *tick > after && *tick <= until).collect()
}

fn iterated(schedule: &Schedule, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let next = |tick: &DateTime<Utc>| schedule.next_after(*tick);
    std::iter::successors(schedule.next_after(after), next)
        .take_while(|tick| *tick <= until)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() })]

    #[test]
    fn ticks_are_those_of_a_scan(
        fields in fields(),
        (zone, start) in select(CHANGES.as_slice()),
        pairs in vec((0..MINUTES_SCANNED * 60, 0..MINUTES_SCANNED * 60), 30),
        at_most in any::<u8>(),
    ) {
        let (schedule, start) = (schedule(&fields.text(), zone), utc(start));
        let end = start + TimeDelta::minutes(MINUTES_SCANNED);
        let ticks = fields.scan(&time_zones().get(zone).unwrap(), start);
        prop_assert_eq!(&iterated(&schedule, start, end), &ticks);
        for (one, other) in pairs {
            let after = start + TimeDelta::seconds(one.min(other));
            let until = start + TimeDelta::seconds(one.max(other));
            let expected = within(&ticks, after, until);
            let next = schedule.next_after(after).filter(|tick| *tick <= until);
            prop_assert_eq!(next, expected.first().copied());
            prop_assert_eq!(schedule.latest_in(after, until), expected.last().copied());
            let newest = expected.len().saturating_sub(at_most.into());
            prop_assert_eq!(
                schedule.newest_in(after, until, at_most.into()), &expected[newest..]
            );
            let is_tick = |instant| schedule.tick_at(instant).is_some();
            prop_assert_eq!(is_tick(until), ticks.contains(&until));
            prop_assert!(expected.first().is_none_or(|tick| is_tick(*tick)));
            let count = u64::try_from(expected.len()).unwrap().min(at_most.into());
            prop_assert_eq!(schedule.count_in(after, until, at_most.into()), count);
        }
    }
}
