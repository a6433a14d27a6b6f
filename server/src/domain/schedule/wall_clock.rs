//! The instants of a wall-clock time in a zone: one, two in a fold, none in a gap.
//!
//! A *gap* is the time that clocks skip when they go forward, a *fold* the time that they show twice when
//! they go back. Zones come from the IANA database compiled into `chrono-tz`.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// Farther from UTC than any zone has been since 1970.
const FARTHEST_OFFSET: TimeDelta = TimeDelta::hours(16);

/// The instants at which clocks show a certain time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instants {
    Gap,
    One(DateTime<Utc>),
    /// Clocks show it twice.
    Fold {
        first: DateTime<Utc>,
        second: DateTime<Utc>,
    },
}

/// The time that a clock in the zone shows.
pub(super) fn wall_at(zone: Tz, instant: DateTime<Utc>) -> NaiveDateTime {
    instant.with_timezone(&zone).naive_local()
}

/// The instants at which a clock in the zone shows `wall`.
pub(super) fn instants(zone: Tz, wall: NaiveDateTime) -> Instants {
    match zone.from_local_datetime(&wall) {
        MappedLocalTime::None => Instants::Gap,
        MappedLocalTime::Single(instant) => Instants::One(instant.to_utc()),
        MappedLocalTime::Ambiguous(one, other) => {
            let (one, other) = (one.to_utc(), other.to_utc());
            Instants::Fold { first: one.min(other), second: one.max(other) }
        }
    }
}

/// The first instant after the gap that contains `skipped`.
///
/// Bisects an interval whose only clock change is the gap, to the second, in about 17 steps.
pub(super) fn gap_end(zone: Tz, skipped: NaiveDateTime) -> DateTime<Utc> {
    let mut before = skipped.and_utc() - FARTHEST_OFFSET;
    let mut behind = skipped.and_utc() + FARTHEST_OFFSET;
    while behind - before > TimeDelta::seconds(1) {
        let middle = before + TimeDelta::seconds((behind - before).num_seconds() / 2);
        if wall_at(zone, middle) < skipped {
            before = middle;
        } else {
            behind = middle;
        }
    }
    behind
}
