//! The instants of a wall-clock time in a zone: one, two in a fold, none in a gap.
//!
//! A *gap* is the time that clocks skip when they go forward, a *fold* the time that they show twice when
//! they go back.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

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
pub(super) fn wall_at(zone: &TimeZone, instant: DateTime<Utc>) -> NaiveDateTime {
    instant.naive_utc() + length(zone.to_offset(timestamp(instant)))
}

/// The instants at which a clock in the zone shows `wall`.
pub(super) fn instants(zone: &TimeZone, wall: NaiveDateTime) -> Instants {
    let as_utc = wall.and_utc();
    let at = |offset: Offset| as_utc - length(offset);
    let wall = Offset::UTC.to_datetime(timestamp(as_utc));
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Gap { .. } => Instants::Gap,
        AmbiguousOffset::Unambiguous { offset } => Instants::One(at(offset)),
        AmbiguousOffset::Fold { before, after } => {
            Instants::Fold { first: at(before), second: at(after) }
        }
    }
}

/// The first instant after the gap that contains `skipped`.
///
/// Bisects an interval whose only clock change is the gap, to the second, in about 17 steps.
pub(super) fn gap_end(zone: &TimeZone, skipped: NaiveDateTime) -> DateTime<Utc> {
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

/// The second of an instant; all instants here are far within the years that it supports.
fn timestamp(instant: DateTime<Utc>) -> Timestamp {
    Timestamp::from_second(instant.timestamp()).unwrap_or(Timestamp::MAX)
}

fn length(offset: Offset) -> TimeDelta {
    TimeDelta::seconds(offset.seconds().into())
}
